"""Timers and events against waits.

A wait is resolved once, by whichever comes first to commit: its time or a matching event. Resolving wakes the run, and the
order is always job, run, wait: first the job is made (or, when the run is leased, marked), then the wait row is settled. A
completing worker that parks holds the job's lock, so it either sees the mark or has parked before, and then the wake-up
makes a new job: none is lost. A wake-up without anything new only costs one needless look.

An event that somebody waits for when it is accepted is marked `unrouted`; it is matched in a transaction begun after that one
has committed. The mark survives crashes. Only events accepted after the wait was on record count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from ..matching import is_subset
from .arrays import Byteas, Texts, Uuids
from .database import Connection, Database, statement


@dataclass(frozen=True, slots=True)
class Woken:
    """What a pass did. `more`: there may be more to do at once. `satisfied`: waits that events resolved. `next_at`: when the next
    timer is due, in `next_in` seconds; None if there is none."""

    count: int
    more: bool = False
    satisfied: int = 0
    next_at: datetime | None = None
    next_in: float | None = None


class Waits:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def resolve_due(self, *, limit: int) -> Woken:
        """Resolve up to `limit` waits whose time has come, oldest first."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(statement("waits/due_exist"))).fetchone()
            assert row is not None
            some_due, next_at, next_in = row
            if not some_due:
                return Woken(0, next_at=next_at, next_in=next_in)
            async with connection.transaction():
                if await (await connection.execute(statement("waits/take_duty"))).fetchone() is None:
                    return Woken(0, next_at=next_at, next_in=next_in)
                due = await (await connection.execute(statement("waits/due"), {"limit": limit})).fetchall()
                parameters = {"run_ids": Uuids(d[0] for d in due), "steps": Texts(d[1] for d in due)}
                await self._wake(connection, sorted({d[0] for d in due}))
                await connection.execute(statement("waits/resolve_due"), parameters)
        return Woken(len(due), more=len(due) == limit, next_at=next_at, next_in=next_in)

    async def route(self, *, limit: int) -> Woken:
        """Match up to `limit` accepted events against open waits."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(statement("waits/some_unrouted"))).fetchone()
            assert row is not None
        if not row[0]:
            return Woken(0)
        async with self._database.transaction() as connection:
            events = await (await connection.execute(statement("waits/unrouted"), {"limit": limit})).fetchall()
            ids = Uuids(event[0] for event in events)
            candidates = await (await connection.execute(statement("waits/candidates"), {"event_ids": ids})).fetchall()
            satisfied = 0
            if candidates:
                satisfied = await self._settle(connection, {event[0]: event for event in events}, candidates)
            await connection.execute(statement("waits/routed"), {"event_ids": ids})
        return Woken(len(events), more=len(events) == limit, satisfied=satisfied)

    async def _settle(
        self,
        connection: Connection,
        events: Mapping[UUID, tuple[Any, ...]],
        candidates: Sequence[tuple[UUID, UUID, str, bytes | None]],
    ) -> int:
        data = {event_id: orjson.loads(event[4]) for event_id, event in events.items()}
        matched: dict[tuple[UUID, str], UUID] = {}
        for event_id, run_id, step, match in candidates:
            if (run_id, step) not in matched and (match is None or is_subset(orjson.loads(match), data[event_id])):
                matched[run_id, step] = event_id
        if not matched:
            return 0
        await self._wake(connection, sorted({run_id for run_id, _ in matched}))
        await connection.execute(
            statement("waits/resolve_matched"),
            {
                "run_ids": Uuids(run_id for run_id, _ in matched),
                "steps": Texts(step for _, step in matched),
                "event_ids": Uuids(matched.values()),
                "data": Byteas(_as_seen(events[event_id]) for event_id in matched.values()),
            },
        )
        return len(matched)

    async def _wake(self, connection: Connection, run_ids: list[UUID]) -> None:
        rows = await (await connection.execute(statement("waits/wake"), {"run_ids": Uuids(run_ids)})).fetchall()
        await connection.execute(statement("waits/requeue"), {"run_ids": Uuids(row[0] for row in rows if row[1])})


def _as_seen(event: tuple[Any, ...]) -> bytes:
    """The event as the handler receives it; its data byte for byte."""
    _, _, external_id, name, data, _ = event
    return b'{"id":%b,"name":%b,"data":%b}' % (orjson.dumps(external_id), orjson.dumps(name), data)
