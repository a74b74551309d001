"""The read model: what people look at. Reads only; nothing here takes a lock or moves a run.

Lists are paged by key (`before` the last id seen), never by offset: a page neither skips nor repeats a row that was
there when the first page was read, whatever is inserted meanwhile. A run with its journal is read in one snapshot, so
that the state and the ordinal to go on from belong together. `runs_changed` follows all runs in the order of
(changed, id), bounded by the oldest transaction in progress, where a bare `id > last` would skip what commits late.

Statements whose filters may be null are planned each time with their values (`prepare=False`): a generic plan would
read past all of history for a rare state. When Postgres is away the caller gets Unavailable.
"""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from psycopg.rows import class_row

from .database import Connection, Database, statement
from .run_filter import RunFilter
from .summaries import (
    LAST,
    AppSummary,
    Cursor,
    DefinitionSummary,
    EventSummary,
    JournalEntry,
    MinuteCount,
    OpenWait,
    RevisionSummary,
    RunPayloads,
    RunRecord,
    RunSummary,
    ScheduleSummary,
    StateCount,
    TailRow,
)

T = TypeVar("T")


class Views:
    """`preview` is how many bytes of a payload a list or a record carries."""

    def __init__(self, database: Database, *, preview: int = 2048) -> None:
        self._database = database
        self._preview = preview

    async def list_runs(self, where: RunFilter, *, before: UUID | None = None, limit: int = 50) -> Sequence[RunSummary]:
        return await self._rows(RunSummary, "list_runs", {**where.arguments(), "before": before, "limit": limit})

    async def get_run(self, run_id: UUID) -> RunSummary | None:
        return await self._row(RunSummary, "get_run", {"run_id": run_id})

    async def read_run(self, run_id: UUID, *, after: int = 0, limit: int = 500) -> RunRecord | None:
        """The run, and at most `limit` entries of its journal after the ordinal `after`."""
        keys = {"run_id": run_id, "after": after, "limit": limit + 1, "preview": self._preview}
        async with self._database.transaction() as connection:
            await connection.execute("set transaction isolation level repeatable read, read only")
            runs = await _fetch(connection, RunSummary, "get_run", keys)
            if not runs:
                return None
            payloads = await _fetch(connection, RunPayloads, "run_payloads", keys)
            entries = await _fetch(connection, JournalEntry, "run_entries", keys)
            waits = await _fetch(connection, OpenWait, "run_waits", keys)
            clock = await (await connection.execute("select clock_timestamp()")).fetchone()
        assert clock is not None
        page = entries[:limit]
        return RunRecord(
            run=runs[0],
            payloads=payloads[0],
            entries=page,
            waits=waits,
            ordinal=page[-1].ordinal if page else after,
            more=len(entries) > limit,
            read_at=clock[0],
        )

    async def run_payload(self, run_id: UUID, *, part: str) -> bytes | None:
        """The whole of a run's `input`, `output` or `error`."""
        return await self._payload("run_payload", {"run_id": run_id, "part": part})

    async def entry_payload(self, run_id: UUID, *, ordinal: int, part: str) -> bytes | None:
        """The whole `data` or `error` of one journal entry."""
        return await self._payload("entry_payload", {"run_id": run_id, "ordinal": ordinal, "part": part})

    async def event_payload(self, event_id: UUID) -> bytes | None:
        return await self._payload("event_payload", {"event_id": event_id})

    async def horizon(self) -> Cursor:
        """A cursor behind every change that a statement begun from now on can see for certain."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(statement("views/horizon"))).fetchone()
        assert row is not None
        return Cursor(int(row[0]) - 1, LAST)

    async def runs_changed(self, after: Cursor, *, limit: int = 200) -> Sequence[RunSummary]:
        keys = {"changed": str(after.changed), "id": after.id, "limit": limit}
        return await self._rows(RunSummary, "runs_changed", keys)

    async def tail(self, run_ids: Sequence[UUID]) -> Sequence[TailRow]:
        return await self._rows(TailRow, "tail", {"run_ids": list(run_ids)})

    async def count_runs(self, *, app: str | None = None) -> Sequence[StateCount]:
        return await self._rows(StateCount, "count_runs", {"app": app})

    async def throughput(self, *, since: UUID, app: str | None = None) -> Sequence[MinuteCount]:
        """Runs by minute of creation and present status, from the UUIDv7 `since` on."""
        return await self._rows(MinuteCount, "throughput", {"since": since, "app": app})

    async def list_apps(self) -> Sequence[AppSummary]:
        return await self._rows(AppSummary, "list_apps", {})

    async def list_definitions(self, *, app: str | None = None) -> Sequence[DefinitionSummary]:
        return await self._rows(DefinitionSummary, "list_definitions", {"app": app, "definition_id": None})

    async def get_definition(self, definition_id: int) -> DefinitionSummary | None:
        return await self._row(DefinitionSummary, "list_definitions", {"app": None, "definition_id": definition_id})

    async def list_revisions(self, definition_id: int, *, limit: int = 50) -> Sequence[RevisionSummary]:
        return await self._rows(RevisionSummary, "list_revisions", {"definition_id": definition_id, "limit": limit})

    async def list_events(
        self,
        *,
        app: str | None = None,
        name: str | None = None,
        event_id: UUID | None = None,
        before: UUID | None = None,
        limit: int = 50,
    ) -> Sequence[EventSummary]:
        keys = {
            "app": app,
            "name": name,
            "event_id": event_id,
            "before": before,
            "limit": limit,
            "preview": self._preview,
        }
        return await self._rows(EventSummary, "list_events", keys)

    async def list_schedules(self, *, app: str | None = None) -> Sequence[ScheduleSummary]:
        return await self._rows(ScheduleSummary, "list_schedules", {"app": app})

    async def _rows(self, kind: type[T], name: str, keys: dict[str, Any]) -> Sequence[T]:
        async with self._database.connection() as connection:
            return await _fetch(connection, kind, name, keys)

    async def _row(self, kind: type[T], name: str, keys: dict[str, Any]) -> T | None:
        rows = await self._rows(kind, name, keys)
        return rows[0] if rows else None

    async def _payload(self, name: str, keys: dict[str, Any]) -> bytes | None:
        async with self._database.connection() as connection:
            row = await (await connection.execute(statement(f"views/{name}"), keys)).fetchone()
        return None if row is None or row[0] is None else bytes(row[0])


async def _fetch(connection: Connection, kind: type[T], name: str, keys: dict[str, Any]) -> Sequence[T]:
    async with connection.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(statement(f"views/{name}"), keys, prepare=False)
        return await cursor.fetchall()
