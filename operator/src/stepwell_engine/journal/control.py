"""What a person, a schedule or a clock does to a run from outside: cancel, resume, rerun, expire.

Cancelling a function ends it in one transaction that also voids its token, so that an answer still on its way is refused. A
workflow with completed steps is asked to cancel and compensates first; `force` skips that. Whoever commits first wins: the
other finds the run in another state and is told so by `Conflict`.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from ..clock import Ids
from ..errors import Conflict, NotFound
from ..machine import RunEvent, State, decide
from ..model import Activity, Kind, NewRun, Status, Trigger
from .database import Connection, Database, statement
from .intake import Intake

_TIMED_OUT = b'{"name":"RunTimedOut","message":"the run took longer than its timeouts.run","retryable":false}'
_NOT_STARTED = b'{"name":"StartTimedOut","message":"the run did not begin within its timeouts.start","retryable":false}'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    kind: str
    status: str
    activity: str | None
    app_id: str
    definition_id: int
    name: str
    input: bytes
    labels: Mapping[str, str]
    event_ref: str
    event_name: str
    event_id: UUID | None
    revision: int
    retired: bool
    compensable: bool

    @property
    def state(self) -> State:
        return State(Status(self.status), Activity(self.activity) if self.activity else None)


class Control:
    def __init__(self, database: Database, *, ids: Ids) -> None:
        self._database = database
        self._ids = ids
        self._intake = Intake(database, ids=ids)

    async def cancel(self, run_id: UUID, *, force: bool = False) -> str:
        """Cancel a run. Answers "cancelled", or "compensating" when a workflow undoes its steps first.
        Raises NotFound, or Conflict when it has ended."""
        async with self._database.transaction() as connection:
            return await self.cancel_within(connection, run_id, reason="Cancelled", force=force)

    @staticmethod
    async def cancel_within(connection: Connection, run_id: UUID, *, reason: str, force: bool = False) -> str:
        run = await _get(connection, run_id)
        decide(run.state, RunEvent.CANCELLED, run=run_id)
        if run.kind == Kind.WORKFLOW and run.compensable and not force:
            await connection.execute(statement("control/wake"), {"run_id": run_id})
            await _request_cancel(connection, run_id, timed_out=False)
            return "compensating"
        await connection.execute(statement("control/void_job"), {"run_id": run_id})
        await _end(connection, run_id, status=Status.CANCELLED, entry="run_cancelled", reason=reason, error=None)
        return "cancelled"

    async def cancel_of_app(self, app_id: str, *, limit: int = 200) -> int:
        """Cancel up to `limit` active runs of an app that goes away, at once and without compensation, since nobody is left
        to call. Answers how many."""
        async with self._database.connection() as connection:
            found = await (
                await connection.execute(statement("control/active_of_app"), {"app_id": app_id, "limit": limit})
            ).fetchall()
            for (run_id,) in found:
                with contextlib.suppress(Conflict):
                    async with connection.transaction():
                        await self.cancel_within(connection, run_id, reason="AppDeleted", force=True)
        return len(found)

    async def resume(self, run_id: UUID) -> None:
        """Let a paused run go on. Raises NotFound, or Conflict when it is not paused."""
        async with self._database.transaction() as connection:
            run = await _get(connection, run_id)
            decide(run.state, RunEvent.RESUMED, run=run_id)
            await connection.execute(statement("control/wake"), {"run_id": run_id})
            if await (await connection.execute(statement("control/resume"), {"run_id": run_id})).fetchone() is None:
                raise Conflict(f"run {run_id} was resumed or ended meanwhile")

    async def rerun(self, run_id: UUID) -> UUID:
        """A new run with the same input, on the active revision; the old one is left as it is. Answers the new run's id.
        Raises NotFound, or Conflict when the definition is retired."""
        async with self._database.transaction() as connection:
            run = await _get(connection, run_id)
            if run.retired:
                raise Conflict(f"{run.kind} {run.name!r} is no longer declared: apply it or sync the app first")
            new_id = self._ids.uuid7()
            await self._intake.insert(
                connection,
                new_id,
                NewRun(
                    app_id=run.app_id,
                    definition_id=run.definition_id,
                    kind=Kind(run.kind),
                    name=run.name,
                    revision=run.revision,
                    trigger=Trigger.RERUN,
                    event_ref=run.event_ref,
                    event_name=run.event_name,
                    input=run.input,
                    labels=run.labels,
                    rerun_of=run_id,
                ),
            )
        return new_id

    async def expire(self, *, limit: int = 100) -> int:
        """End the active runs whose time is up: over `timeouts.run`, where workflows compensate first, or not begun within
        `timeouts.start`. Answers how many were looked at."""
        async with self._database.connection(duty=True) as connection:
            overdue = await (await connection.execute(statement("control/expired"), {"limit": limit})).fetchall()
            for run_id, unstarted in overdue:
                with contextlib.suppress(Conflict, NotFound):
                    async with connection.transaction():
                        await (_give_up_start if unstarted else _time_out)(connection, run_id)
        return len(overdue)


async def _give_up_start(connection: Connection, run_id: UUID) -> None:
    voided = await connection.execute(statement("control/void_queued"), {"run_id": run_id})
    if voided.rowcount == 1:
        await _end(
            connection, run_id, status=Status.FAILED, entry="run_failed", reason="StartTimedOut", error=_NOT_STARTED
        )


async def _time_out(connection: Connection, run_id: UUID) -> None:
    run = await _get(connection, run_id)
    if run.kind == Kind.WORKFLOW and run.compensable:
        await connection.execute(statement("control/wake"), {"run_id": run_id})
        await _request_cancel(connection, run_id, timed_out=True)
        return
    await connection.execute(statement("control/void_job"), {"run_id": run_id})
    await _end(connection, run_id, status=Status.FAILED, entry="run_failed", reason="TimedOut", error=_TIMED_OUT)


async def _request_cancel(connection: Connection, run_id: UUID, *, timed_out: bool) -> None:
    parameters = {"run_id": run_id, "timed_out": timed_out}
    if await (await connection.execute(statement("control/request_cancel"), parameters)).fetchone() is None:
        raise Conflict(f"run {run_id} ended meanwhile")


async def _get(connection: Connection, run_id: UUID) -> _Run:
    async with connection.cursor(row_factory=class_row(_Run)) as cursor:
        await cursor.execute(statement("control/get_run"), {"run_id": run_id})
        run = await cursor.fetchone()
    if run is None:
        raise NotFound(f"no run has the id {run_id}: it may have been removed by retention")
    return run


async def _end(
    connection: Connection, run_id: UUID, *, status: Status, entry: str, reason: str, error: bytes | None
) -> None:
    parameters = {"run_id": run_id, "status": status.value, "entry": entry, "reason": reason, "error": error}
    if await (await connection.execute(statement("control/end_run"), parameters)).fetchone() is None:
        raise Conflict(f"run {run_id} ended meanwhile")
