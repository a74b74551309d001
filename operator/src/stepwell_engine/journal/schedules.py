"""Schedules that are due, and the runs they start.

A schedule's row is locked, its run inserted and its next instant moved in one transaction: an instant fires once, whatever
the number of processes, and a crash in between fires it again only because it had not fired. The next instant is always
computed strictly after now, so downtime is followed by one late run at most and never by a storm.

A schedule that can't be carried out (a newer release wrote it, say) is logged and left for the next look; the others fire.
"""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from psycopg.rows import class_row

from ..clock import Ids
from ..cron import next_after
from ..definition import CatchUp, ConcurrencyPolicy, ScheduleSpec, parse_schedule
from ..errors import StepwellError
from ..model import Kind, NewRun, Trigger
from .control import Control
from .database import Connection, Database, statement
from .intake import Intake

#: How late an instant may be fired when the schedule itself says nothing and asks for no catch-up.
_DEFAULT_DEADLINE = timedelta(minutes=1)

_log = logging.getLogger("stepwell.schedules")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    id: int
    app_id: str
    name: str
    source: str
    document: bytes
    next_at: datetime | None
    last_run: UUID | None
    now: datetime
    definition_id: int
    kind: str
    definition_name: str
    revision: int
    held: bool
    running: bool


class Schedules:
    def __init__(self, database: Database, *, ids: Ids) -> None:
        self._database = database
        self._ids = ids
        self._intake = Intake(database, ids=ids)
        self._rng = random.Random(ids.uuid7().int)  # noqa: S311 - jitter

    async def fire(self, *, limit: int = 50) -> tuple[int, float | None]:
        """Start the runs of all instants that have come. Answers (runs started, seconds until the next instant); None for the
        latter: none is known, or one has come that could not be carried out. One look when there is nothing to do."""
        async with self._database.connection() as connection:
            next_in = await _look(connection)
            if next_in is None or next_in > 0:
                return 0, next_in
            async with connection.transaction():
                started, stuck = await self._fire_due(connection, limit=limit)
            return started, None if stuck else await _look(connection)

    async def _fire_due(self, connection: Connection, *, limit: int) -> tuple[int, bool]:
        """How many were started, and whether one could not be carried out."""
        started = 0
        stuck = False
        async with connection.cursor(row_factory=class_row(_Due)) as cursor:
            await cursor.execute(statement("schedules/due"), {"limit": limit})
            due = await cursor.fetchall()
        for schedule in due:
            try:
                async with connection.transaction():
                    started += await self._fire(connection, schedule)
            except (StepwellError, ValueError) as error:
                stuck = True
                _log.error("schedule %s of app %s did not fire: %s", schedule.name, schedule.app_id, error)
        return started, stuck

    async def _fire(self, connection: Connection, schedule: _Due) -> int:
        spec = parse_schedule(orjson.loads(schedule.document))
        next_at = next_after(spec.timetable, schedule.now)
        run_id = None
        if schedule.next_at is not None and not schedule.held and self._wanted(schedule, spec):
            if (
                schedule.running
                and spec.concurrency_policy is ConcurrencyPolicy.REPLACE
                and schedule.last_run is not None
            ):
                await Control.cancel_within(connection, schedule.last_run, reason="Replaced")
            run_id = self._ids.uuid7()
            await self._intake.insert(
                connection, run_id, _run(schedule, spec, schedule.next_at), delay=spec.jitter * self._rng.random()
            )
        await connection.execute(
            statement("schedules/advance"),
            {
                "id": schedule.id,
                "next_at": next_at,
                "last_at": schedule.next_at if run_id else None,
                "last_run": run_id,
            },
        )
        return int(run_id is not None)

    def _wanted(self, schedule: _Due, spec: ScheduleSpec) -> bool:
        assert schedule.next_at is not None
        late = schedule.now - schedule.next_at
        if spec.catch_up is CatchUp.NONE and late > (spec.starting_deadline or _DEFAULT_DEADLINE):
            return False
        return not (schedule.running and spec.concurrency_policy is ConcurrencyPolicy.FORBID)


async def _look(connection: Connection) -> float | None:
    row = await (await connection.execute(statement("schedules/next_in"))).fetchone()
    assert row is not None
    next_in: float | None = row[0]
    return next_in


def _run(schedule: _Due, spec: ScheduleSpec, instant: datetime) -> NewRun:
    at = instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    from_trigger = schedule.source == "trigger"
    data = {"schedule": schedule.name, "scheduledAt": at} if spec.input is None else spec.input
    return NewRun(
        app_id=schedule.app_id,
        definition_id=schedule.definition_id,
        kind=Kind(schedule.kind),
        name=schedule.definition_name,
        revision=schedule.revision,
        trigger=Trigger.CRON if from_trigger else Trigger.SCHEDULE,
        event_ref=f"{schedule.name}@{at}",
        event_name="$cron",
        input=orjson.dumps(data),
    )
