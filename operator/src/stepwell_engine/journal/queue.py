"""The leased queue: claim, complete, collect, renew, reap, release.

A lease is (run, token, expiry). The token is raised by every claim and never comes again; whoever writes for a run names it,
and a write under any other token finds no row. Expiry is by the database's clock; a claim returns the database's `now`
beside it, so that a worker can measure what is left on its own monotonic clock, started before the claim was sent.

`complete` is one statement for many exchanges. Should its outcome be unknown (the connection broke around the commit),
`find_accepted` tells which exchanges are on record: each left a journal row with its (token, seq).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row, kwargs_row

from ..model import Entry, Kind, PendingWait, Step
from .arrays import Array, Bigints, Booleans, Byteas, Integers, Intervals, Reals, Smallints, Texts, Timestamps, Uuids
from .database import Connection, Database, statement

#: Leases lost in a row after which a run is taken out of circulation.
QUARANTINE_AFTER = 5

#: An app may be away for months; the backoff stops growing long before this.
_MOST_REFUSALS = 2**15 - 1


Outcome = Literal["go", "park", "release", "pause", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A run as it was claimed. `entries` is its journal so far, `waits` what it is still waiting for."""

    run_id: UUID
    token: int
    lease_until: datetime
    now: datetime
    losses: int
    refusals: int
    app_id: str
    definition_id: int
    kind: Kind
    name: str
    revision: int
    event_ref: str
    event_name: str
    input: bytes
    cancel_requested: bool
    deadline: datetime | None
    generation: int
    entries: Sequence[Step] = ()
    waits: Sequence[PendingWait] = ()


@dataclass(slots=True, kw_only=True)
class NewEntry:
    """A row for the journal, written under the exchange's token and seq."""

    ordinal: int
    entry: Entry
    step: str | None = None
    type: str | None = None
    attempt: int = 1
    data: bytes | None = None
    error: bytes | None = None
    due: datetime | None = None
    called_at: datetime | None = None
    app_ms: float | None = None


@dataclass(slots=True, kw_only=True)
class NewWait:
    step: str
    type: Literal["sleep", "wait", "retry"]
    due: datetime | None = None
    event_name: str | None = None
    match: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One accepted answer of an app (or one move of the engine itself) on its way into the journal."""

    run_id: UUID
    app_id: str
    token: int
    seq: int
    outcome: Outcome
    activity: str | None = None
    status: str | None = None
    reason: str | None = None
    output: bytes | None = None
    error: bytes | None = None
    delay: timedelta = timedelta()
    refusals: int = 0
    withdraw: bool = False
    """Remove the run's waits: it turns back."""
    steps: int = 0
    entries: list[NewEntry] = field(default_factory=list)
    waits: list[NewWait] = field(default_factory=list)

    @property
    def is_simple(self) -> bool:
        """Nothing but journal rows: the lease goes on as it is."""
        return self.outcome == "go" and self.activity is None and not (self.waits or self.withdraw)


@dataclass(frozen=True, slots=True)
class Held:
    """The exchange was accepted: its lease was held. `woken`: something was resolved meanwhile, and a run that wanted to
    park has not been parked."""

    woken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What others resolved for a leased run since it last looked."""

    entries: Sequence[Step]
    waits: Sequence[PendingWait]
    cancel_requested: bool


_NOTHING = Collected(entries=(), waits=(), cancel_requested=False)


@dataclass(frozen=True, slots=True)
class Renewed:
    lease_until: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class Overdue:
    """Whether there are expired leases, and runs whose time is up."""

    leases: bool
    runs: bool


class Queue:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, *, owner: UUID, limit: int, lease: timedelta, rooms: Mapping[str, int]) -> list[Lease]:
        """Lease up to `limit` due runs. `rooms`: how many more calls each app that this worker already calls can take.

        A run that ran before is read in a second transaction, under its new token: should the lease be lost in between,
        the run is left out."""
        parameters = {
            "owner": owner,
            "limit": limit,
            "lease": lease,
            "app_ids": Texts(rooms),
            "rooms": Integers(rooms.values()),
        }
        rows = await self._database.run("queue/claim", parameters)
        stray = [(row[0], row[1]) for row in rows if not row[6]]
        if stray:
            async with self._database.connection() as connection:
                parameters = {
                    "run_ids": Uuids(run_id for run_id, _ in stray),
                    "tokens": Bigints(token for _, token in stray),
                }
                await connection.execute(statement("queue/drop"), parameters)
        known = [(row[0], row[1]) for row in rows if row[6] and not row[16]]
        collected = await self.collect(known) if known else {}
        leases: list[Lease] = []
        for row in rows:
            run_id, runnable, fresh = row[0], row[6], row[16]
            found = _NOTHING if fresh else collected.get(run_id)
            if not runnable or found is None:
                continue
            leases.append(
                Lease(
                    run_id=run_id,
                    token=row[1],
                    lease_until=row[2],
                    now=row[3],
                    losses=row[4],
                    refusals=row[5],
                    app_id=row[7],
                    definition_id=row[8],
                    kind=Kind(row[9]),
                    name=row[10],
                    revision=row[11],
                    event_ref=row[12],
                    event_name=row[13],
                    input=row[14],
                    cancel_requested=row[15] or found.cancel_requested,
                    deadline=row[17],
                    generation=row[18],
                    entries=found.entries,
                    waits=found.waits,
                )
            )
        return leases

    async def complete(self, exchanges: Sequence[Exchange]) -> dict[UUID, Held]:
        """Journal `exchanges`, all in one commit. A run that is missing from the answer had lost its lease: nothing of its
        exchange was written. Raises Unavailable when the outcome is unknown; ask `find_accepted` then."""
        simple = all(exchange.is_simple for exchange in exchanges)
        query = "queue/append" if simple else "queue/complete"
        parameters = {**_leases(exchanges), **_entries(exchanges)}
        if not simple:
            parameters |= {**_outcomes(exchanges), **_waits(exchanges)}
        return {row[0]: Held(woken=row[1]) for row in await self._database.run(query, parameters)}

    async def find_accepted(self, exchanges: Sequence[Exchange]) -> dict[UUID, Held]:
        """Of exchanges whose commit had an unknown outcome, those that are on record. `woken` is answered true: the lease
        may be gone or the run parked, and a look at what was resolved costs little."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                statement("queue/find_accepted"),
                {
                    "run_ids": Uuids(x.run_id for x in exchanges),
                    "tokens": Bigints(x.token for x in exchanges),
                    "seqs": Integers(x.seq for x in exchanges),
                    "ordinals": Integers(x.entries[0].ordinal for x in exchanges),
                },
            )
            return {row[0]: Held(woken=True) for row in await cursor.fetchall()}

    async def collect(self, leases: Sequence[tuple[UUID, int]]) -> dict[UUID, Collected]:
        """Journal what was resolved for these leased runs, and read them afresh. A run that is missing from the answer had
        lost its lease."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                statement("queue/hold"),
                {"run_ids": Uuids(lease[0] for lease in leases), "tokens": Bigints(lease[1] for lease in leases)},
            )
            held = [row[0] for row in await cursor.fetchall()]
            if not held:
                return {}
            await connection.execute(statement("queue/collect"), {"run_ids": Uuids(held)})
            entries, waits = await self._load(connection, held)
            cursor = await connection.execute(statement("queue/load_flags"), {"run_ids": Uuids(held)})
            flags = {row[0]: bool(row[1]) for row in await cursor.fetchall()}
        return {
            run_id: Collected(
                entries=entries.get(run_id, ()), waits=waits.get(run_id, ()), cancel_requested=flags[run_id]
            )
            for run_id in held
        }

    async def renew(self, leases: Iterable[tuple[UUID, int]], *, lease: timedelta) -> dict[tuple[UUID, int], Renewed]:
        """Prolong leases, on a connection that nothing else can keep busy. What is missing from the answer is lost."""
        held = list(leases)
        async with self._database.connection(duty=True) as connection:
            cursor = await connection.execute(
                statement("queue/renew"),
                {"run_ids": Uuids(x[0] for x in held), "tokens": Bigints(x[1] for x in held), "lease": lease},
            )
            return {(row[0], row[1]): Renewed(lease_until=row[2], now=row[3]) for row in await cursor.fetchall()}

    async def overdue(self) -> Overdue:
        async with self._database.connection(duty=True) as connection:
            row = await (await connection.execute(statement("queue/overdue"))).fetchone()
        assert row is not None
        return Overdue(leases=row[0], runs=row[1])

    async def reap(self, *, limit: int, spread: timedelta) -> tuple[int, list[UUID]]:
        """Queue expired leases again. Answers how many, and the runs that were quarantined instead."""
        async with self._database.transaction(duty=True) as connection:
            cursor = await connection.execute(statement("queue/reap"), {"limit": limit, "spread": spread})
            lost = await cursor.fetchall()
            poison = [row[0] for row in lost if row[1] >= QUARANTINE_AFTER]
            if poison:
                error = (
                    b'{"name":"Quarantined","message":"%d leases in a row were lost on this run: it may take its workers down. '
                    b'Look at the app\'s logs, then resume or cancel it.","retryable":false}' % QUARANTINE_AFTER
                )
                cursor = await connection.execute(
                    statement("queue/quarantine"),
                    {"run_ids": Uuids(poison), "losses": QUARANTINE_AFTER, "error": error},
                )
                poison = [row[0] for row in await cursor.fetchall()]
        return len(lost), poison

    async def release(self, leases: Sequence[tuple[UUID, int]]) -> None:
        """Give leases back at once."""
        if leases:
            async with self._database.connection(duty=True) as connection:
                await connection.execute(
                    statement("queue/release"),
                    {"run_ids": Uuids(x[0] for x in leases), "tokens": Bigints(x[1] for x in leases)},
                )

    async def backlog(self) -> int:
        async with self._database.connection(duty=True) as connection:
            row = await (await connection.execute(statement("queue/backlog"))).fetchone()
        return int(row[0]) if row else 0

    async def _load(
        self, connection: Connection, run_ids: list[UUID]
    ) -> tuple[dict[UUID, list[Step]], dict[UUID, list[PendingWait]]]:
        entries: dict[UUID, list[Step]] = {}
        waits: dict[UUID, list[PendingWait]] = {}
        async with connection.cursor(row_factory=kwargs_row(_step)) as cursor:
            await cursor.execute(statement("queue/load_entries"), {"run_ids": Uuids(run_ids)})
            for entry in await cursor.fetchall():
                entries.setdefault(entry.run_id, []).append(entry)
        async with connection.cursor(row_factory=class_row(PendingWait)) as waiting:
            await waiting.execute(statement("queue/load_waits"), {"run_ids": Uuids(run_ids)})
            for wait in await waiting.fetchall():
                waits.setdefault(wait.run_id, []).append(wait)
        return entries, waits


def _step(*, entry: str, **columns: Any) -> Step:
    return Step(entry=Entry(entry), **columns)


def _leases(exchanges: Sequence[Exchange]) -> dict[str, Array]:
    return {"run_ids": Uuids(x.run_id for x in exchanges), "tokens": Bigints(x.token for x in exchanges)}


def _entries(exchanges: Sequence[Exchange]) -> dict[str, Array]:
    entries = [(exchange, entry) for exchange in exchanges for entry in exchange.entries]
    return {
        "entry_runs": Uuids(x.run_id for x, _ in entries),
        "ordinals": Integers(e.ordinal for _, e in entries),
        "entries": Texts(e.entry.value for _, e in entries),
        "entry_steps": Texts(e.step for _, e in entries),
        "entry_types": Texts(e.type for _, e in entries),
        "attempts": Smallints(e.attempt for _, e in entries),
        "data": Byteas(e.data for _, e in entries),
        "entry_errors": Byteas(e.error for _, e in entries),
        "dues": Timestamps(e.due for _, e in entries),
        "called_at": Timestamps(e.called_at for _, e in entries),
        "app_ms": Reals(e.app_ms for _, e in entries),
        "entry_tokens": Bigints(x.token for x, _ in entries),
        "seqs": Integers(x.seq for x, _ in entries),
    }


def _outcomes(exchanges: Sequence[Exchange]) -> dict[str, Array]:
    return {
        "outcomes": Texts(x.outcome for x in exchanges),
        "activities": Texts(x.activity for x in exchanges),
        "statuses": Texts(x.status for x in exchanges),
        "reasons": Texts(x.reason for x in exchanges),
        "outputs": Byteas(x.output for x in exchanges),
        "errors": Byteas(x.error for x in exchanges),
        "delays": Intervals(x.delay for x in exchanges),
        "refusals": Smallints(min(x.refusals, _MOST_REFUSALS) for x in exchanges),
        "withdrawals": Booleans(x.withdraw for x in exchanges),
        "steps": Integers(x.steps for x in exchanges),
    }


def _waits(exchanges: Sequence[Exchange]) -> dict[str, Array]:
    waits = [(exchange, wait) for exchange in exchanges for wait in exchange.waits]
    return {
        "wait_runs": Uuids(x.run_id for x, _ in waits),
        "wait_steps": Texts(w.step for _, w in waits),
        "wait_apps": Texts(x.app_id for x, _ in waits),
        "wait_types": Texts(w.type for _, w in waits),
        "wait_dues": Timestamps(w.due for _, w in waits),
        "wait_events": Texts(w.event_name for _, w in waits),
        "wait_matches": Byteas(w.match for _, w in waits),
    }
