"""A small world on a real database: an app with its definitions, runs in it, and a look at the tables.

What goes in goes through the journal's own methods; what a test looks at is read from the tables, so that an answer and the
truth can differ.
"""

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg

from stepwell_engine.definition import parse_function, parse_schedule, parse_workflow
from stepwell_engine.journal import Journal
from stepwell_engine.journal.definitions import Declaration, Declared, ScheduleState, Served
from stepwell_engine.journal.queue import Exchange, Lease, NewEntry, NewWait
from stepwell_engine.model import Accepted, App, AppSettings, Definition, Entry, Kind, NewEvent
from stepwell_engine.sealing import Sealer
from stepwell_engine.services.notifier import WORK

DATA_KEY = bytes(range(32))
KEY = "a signing key"
LEASE = timedelta(seconds=30)
OWNER = UUID(int=1)
OTHER = UUID(int=2)

Row = dict[str, Any]


async def opened(database_url: str, *, size: int = 4) -> Journal:
    return await Journal.open(database_url, sealer=Sealer(DATA_KEY), size=size)


class World:
    """`journal` is what is under test, `connection` what looks at the tables. What makes work sends the hint that a gateway
    would send, so that an engine in the test goes to it at once."""

    def __init__(self, journal: Journal, connection: psycopg.AsyncConnection[Row]) -> None:
        self.journal = journal
        self._connection = connection
        self._names = itertools.count(1)

    # Declaring

    async def app(
        self,
        name: str = "shop",
        *,
        url: str | None = None,
        protocol: int = 1,
        shared_calls: bool = False,
        **settings: Any,
    ) -> App:
        declared = {"signing_keys": (KEY,), "url": url, **settings}
        app = await self.journal.definitions.put_app(AppSettings(name=name, **declared))
        served = Served(url=url, protocol=protocol, checkpointing=protocol >= 2, shared_calls=shared_calls)
        await self.journal.definitions.record_served(app.id, served)
        return await self.journal.definitions.get_app(app.id)

    async def function(self, app: App, name: str = "work", **document: Any) -> Definition:
        return (await self.declare(app, Kind.FUNCTION, name, **document)).definition

    async def workflow(self, app: App, name: str = "flow", **document: Any) -> Definition:
        return (await self.declare(app, Kind.WORKFLOW, name, **document)).definition

    async def declare(self, app: App, kind: Kind, name: str, **document: Any) -> Declared:
        return await self.journal.definitions.put_definition(app.id, declaration(kind, name, **document))

    async def schedule(self, target: Definition, name: str = "nightly", **document: Any) -> ScheduleState:
        given = {"targetRef": {"kind": target.kind.capitalize(), "name": target.name}, **document}
        spec = parse_schedule(given)
        return await self.journal.definitions.put_schedule(
            target.app_id,
            name=name,
            definition_id=target.id,
            document=given,
            suspended=spec.suspend,
            resource_uid=None,
        )

    # Runs

    async def start(
        self, app: App, name: str = "work", *, kind: Kind = Kind.FUNCTION, input: object = None, **more: Any
    ) -> UUID:
        run_id, _ = await self.journal.intake.start_run(app.id, kind=kind, name=name, input=encoded(input), **more)
        await self.journal.hints.send([WORK])
        return run_id

    async def backlog(self, app: App, count: int, *, name: str = "work") -> list[UUID]:
        """`count` runs, started by as many events in one batch; the function must have the trigger `many`."""
        accepted = await self.send(app, *[("many", None)] * count)
        return [run_id for each in accepted for run_id in each.run_ids]

    async def send(self, app: App, *events: tuple[str, object], id: str | None = None) -> list[Accepted]:
        """Events (name, data) in one transaction."""
        accepted = await self.journal.intake.accept_events(
            [NewEvent(app_id=app.id, name=name, data=encoded(data), deduplicate=id) for name, data in events]
        )
        await self.journal.hints.send([WORK])
        return accepted

    async def claim(
        self, *, limit: int = 10, owner: UUID = OWNER, rooms: Mapping[str, int] | None = None
    ) -> list[Lease]:
        return await self.journal.queue.claim(owner=owner, limit=limit, lease=LEASE, rooms=rooms or {})

    async def claimed(self, app: App, name: str = "work", **more: Any) -> Lease:
        """A new run, leased."""
        run_id = await self.start(app, name, **more)
        return next(lease for lease in await self.claim(limit=100) if lease.run_id == run_id)

    async def complete(self, *exchanges: Exchange) -> list[bool]:
        """Which of them were accepted."""
        held = await self.journal.queue.complete(exchanges)
        return [exchange.run_id in held for exchange in exchanges]

    # Looking

    async def rows(self, query: str, **parameters: object) -> list[Row]:
        cursor = await self._connection.execute(query.encode(), parameters)
        return await cursor.fetchall()

    async def row(self, query: str, **parameters: object) -> Row:
        (row,) = await self.rows(query, **parameters)
        return row

    async def value(self, query: str, **parameters: object) -> Any:
        (value,) = (await self.row(query, **parameters)).values()
        return value

    async def sql(self, query: str, **parameters: object) -> int:
        """Change something behind the journal's back. Answers how many rows."""
        return (await self._connection.execute(query.encode(), parameters)).rowcount

    async def run(self, run_id: UUID) -> Row:
        return await self.row("select * from stepwell.run where id = %(id)s", id=run_id)

    async def state(self, run_id: UUID) -> str:
        """Its activity while it is active, its status when it has ended."""
        run = await self.run(run_id)
        return str(run["activity"] or run["status"])

    async def job(self, run_id: UUID) -> Row | None:
        found = await self.rows("select * from stepwell.job where run_id = %(id)s", id=run_id)
        return found[0] if found else None

    async def waits(self, run_id: UUID) -> list[Row]:
        return await self.rows("select * from stepwell.wait where run_id = %(id)s order by step", id=run_id)

    async def entries(self, run_id: UUID) -> list[Row]:
        return await self.rows("select * from stepwell.journal where run_id = %(id)s order by ordinal", id=run_id)

    async def told(self, run_id: UUID) -> list[tuple[str, str | None]]:
        return [(row["entry"], row["step"]) for row in await self.entries(run_id)]

    async def reached(self, run_id: UUID, *states: str, within: float = 15) -> Row:
        """The run, once it is in one of these states (an activity, or the status of its end)."""
        deadline = time.monotonic() + within
        while (state := await self.state(run_id)) not in states:
            assert time.monotonic() < deadline, f"run {run_id} is {state}: {await self.told(run_id)}"
        return await self.run(run_id)

    async def ended(self, run_id: UUID, *, within: float = 15) -> Row:
        return await self.reached(run_id, "completed", "failed", "cancelled", within=within)

    async def until(self, query: str, *, within: float = 15, **parameters: object) -> None:
        """Wait until the query's one value is true."""
        deadline = time.monotonic() + within
        while not await self.value(query, **parameters):
            assert time.monotonic() < deadline, f"not within {within:g} s: {query}"

    async def now(self) -> datetime:
        value: datetime = await self.value("select clock_timestamp()")
        return value


def declaration(kind: Kind, name: str, **document: Any) -> Declaration:
    spec = (parse_function if kind is Kind.FUNCTION else parse_workflow)(document, name=name)
    return Declaration(kind=kind, name=name, spec=spec, document=document, suspended=spec.suspend)


def on(event: str, *, when: str | None = None) -> list[Mapping[str, Any]]:
    """The triggers of a definition that one event starts."""
    return [{"event": {"name": event, **({"if": when} if when else {})}}]


def encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def exchange(
    lease: Lease,
    outcome: Literal["go", "park", "release", "pause", "end"] = "go",
    *,
    seq: int = 1,
    steps: Mapping[str, bytes] | None = None,
    sleep: datetime | None = None,
    wait: str | None = None,
    match: bytes | None = None,
    timeout: datetime | None = None,
    **more: Any,
) -> Exchange:
    """What an app answered: results of `steps`, and perhaps a sleep named `nap` or a wait named `approve`. An end without
    more is a completion with the output 1."""
    last = lease.entries[-1].ordinal if lease.entries else 0
    ordinals = itertools.count(more.pop("ordinal", last + 1))
    if outcome == "end":
        more = {"status": "completed", "output": b"1", **more}
    elif outcome == "park":
        more = {"activity": "waiting" if wait else "sleeping", **more}
    made = Exchange(
        run_id=lease.run_id,
        app_id=lease.app_id,
        token=lease.token,
        seq=seq,
        outcome=outcome,
        steps=len(steps or {}),
        **more,
    )
    for step, data in (steps or {}).items():
        made.entries.append(
            NewEntry(ordinal=next(ordinals), entry=Entry.STEP_COMPLETED, step=step, type="run", data=data)
        )
    if sleep is not None:
        made.waits.append(NewWait(step="nap", type="sleep", due=sleep))
        made.entries.append(NewEntry(ordinal=next(ordinals), entry=Entry.WAIT_STARTED, step="nap", type="sleep"))
    if wait is not None:
        made.waits.append(NewWait(step="approve", type="wait", event_name=wait, match=match, due=timeout))
        made.entries.append(NewEntry(ordinal=next(ordinals), entry=Entry.WAIT_STARTED, step="approve", type="wait"))
    if outcome == "end":
        made.entries.append(NewEntry(ordinal=next(ordinals), entry=Entry.RUN_COMPLETED))
    return made


def results(entries: Sequence[Any]) -> dict[str, bytes]:
    """The results among the journal's entries as a lease carries them."""
    settled = (Entry.STEP_COMPLETED, Entry.WAIT_COMPLETED)
    return {entry.step: entry.data for entry in entries if entry.entry in settled}
