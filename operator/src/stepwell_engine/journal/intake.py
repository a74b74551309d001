"""Events in, runs out.

Accepting an event is one transaction: the event's row, its deduplication key, the match of triggers, the runs and their jobs.
Either all of it is committed and the sender is told so, or none of it is (R8). Many events are accepted by the same few
statements, which is what the gateway's group commit uses. Waits are matched by a second transaction, begun after this one:
see `waits`.

A repeat of a deduplicated event, or of an idempotency key, answers with what the first one started, whatever its state.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import orjson

from stepwell_protocol.durations import parse_duration

from ..clock import Ids
from ..definition import EventTrigger
from ..errors import Conflict, LeaseLost, NotFound
from ..expressions import ExpressionError
from ..failpoints import failpoint
from ..model import Accepted, Kind, NewEvent, NewRun, Trigger
from .arrays import Bigints, Booleans, Byteas, Integers, Intervals, Texts, Uuids
from .database import Connection, Database, Statements, Within, statement

#: How long event ids and idempotency keys answer repeats.
WINDOW = timedelta(hours=24)

_CACHED_POLICIES = 1024


@dataclass(frozen=True, slots=True)
class Policies:
    """What a revision says about runs as they are created."""

    priority: int
    run_timeout: timedelta | None
    start_timeout: timedelta | None


class _Match(NamedTuple):
    """A row of `match_triggers`."""

    app_id: str
    event_name: str
    condition: str | None
    definition_id: int
    kind: str
    name: str
    revision: int
    suspended: bool


class Intake:
    def __init__(self, database: Database, *, ids: Ids) -> None:
        self._database = database
        self._ids = ids
        self._policies: dict[tuple[int, int], Policies] = {}

    async def accept_events(
        self, events: Sequence[NewEvent], *, lease: tuple[UUID, int] | None = None
    ) -> list[Accepted]:
        """Record `events` and start what they trigger, all or nothing, in one transaction. Answers are in the order of
        `events`; when this returns, everything in them is committed.

        `lease`: the run (and its token) that sends them. Raises LeaseLost when it is no longer held; nothing is sent then."""
        ids = [self._ids.uuid7() for _ in events]
        incoming = list(zip(ids, events, strict=True))
        if lease is None:
            # What is written is one statement, and needs no transaction around it.
            answers = await self._accept(self._database, incoming)
        else:
            async with self._database.transaction() as connection:
                await self._hold(connection, *lease)
                answers = await self._accept(Within(connection), incoming)
        failpoint("after_accept")
        return answers

    async def _accept(self, statements: Statements, incoming: Sequence[tuple[UUID, NewEvent]]) -> list[Accepted]:
        runs, held = await self._triggered(statements, incoming)
        run_ids = [self._ids.uuid7() for _ in runs]
        accepted = await self._insert(statements, run_ids, runs, held, events=incoming)
        repeats = await self._repeats(statements, [event for event_id, event in incoming if event_id not in accepted])
        started: dict[UUID, list[UUID]] = {}
        for run_id, run in zip(run_ids, runs, strict=True):
            if run.event_id is not None:
                started.setdefault(run.event_id, []).append(run_id)
        return [
            Accepted(
                event_id=event_id,
                run_ids=tuple(started.get(event_id, ())),
                duplicate=False,
                awaited=accepted[event_id],
            )
            if event_id in accepted
            else repeats[event.app_id, event.key]
            for event_id, event in incoming
        ]

    async def start_run(
        self,
        app_id: str,
        *,
        kind: Kind,
        name: str,
        input: bytes,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[UUID, bool]:
        """Start one run by hand. Answers (run id, whether it is new).
        Raises NotFound for an unknown or retired definition, Conflict for a suspended one."""
        database = self._database
        found = await database.run("intake/find_startable", {"app_id": app_id, "kind": kind, "name": name})
        definition_id, revision, suspended, retired = found[0] if found else (0, 0, False, True)
        if retired:
            raise NotFound(f"{kind} {name!r} is not declared in this app: apply it or sync the app first")
        if suspended:
            raise Conflict(f"{kind} {name!r} is suspended: set spec.suspend to false first")
        run_id = self._ids.uuid7()
        policy = (await self._policies_of(database, {(definition_id, revision)}))[definition_id, revision]
        run = NewRun(
            app_id=app_id,
            definition_id=definition_id,
            kind=kind,
            name=name,
            revision=revision,
            trigger=Trigger.MANUAL,
            event_ref=str(run_id),
            event_name="$start",
            input=input,
            labels=labels or {},
            priority=policy.priority,
            run_timeout=policy.run_timeout,
            start_timeout=policy.start_timeout,
        )
        if run_id in await self._insert(database, [run_id], [run], [False], key=idempotency_key):
            return run_id, True
        # A run is refused only for a key that another one holds.
        ((first,),) = await database.run(
            "intake/find_idempotent_run", {"definition_id": definition_id, "key": idempotency_key}
        )
        return UUID(str(first)), False

    async def get_run(self, app_id: str, run_id: UUID) -> bytes | None:
        """A run as its own app may see it, as JSON; output and error byte for byte. None: this app has no such run."""
        async with self._database.connection() as connection:
            row = await (
                await connection.execute(statement("intake/get_run"), {"run_id": run_id, "app_id": app_id})
            ).fetchone()
        if row is None:
            return None
        known = orjson.dumps(
            {"id": str(row[0]), "name": row[1], "kind": row[2], "status": row[3], "activity": row[4], "reason": row[5]}
        )
        return b'%b,"output":%b,"error":%b}' % (known[:-1], row[6] or b"null", row[7] or b"null")

    async def insert(
        self, connection: Connection, run_id: UUID, run: NewRun, *, delay: timedelta = timedelta()
    ) -> None:
        """A run that a schedule or a rerun starts, inside the caller's transaction; priority and timeout are its revision's."""
        revision = (run.definition_id, run.revision)
        policy = (await self._policies_of(Within(connection), {revision}))[revision]
        run = replace(run, priority=policy.priority, run_timeout=policy.run_timeout, start_timeout=policy.start_timeout)
        await self._insert(Within(connection), [run_id], [run], [False], delay=delay)

    @staticmethod
    async def _hold(connection: Connection, run_id: UUID, token: int) -> None:
        cursor = await connection.execute(statement("intake/hold_lease"), {"run_id": run_id, "token": token})
        if await cursor.fetchone() is None:
            raise LeaseLost(f"run {run_id} is no longer leased under token {token}")

    async def _repeats(
        self, statements: Statements, events: Sequence[NewEvent]
    ) -> dict[tuple[str, str | None], Accepted]:
        """What the first events of these keys started, whatever the state of those runs."""
        if not events:
            return {}
        parameters = {"app_ids": Texts(event.app_id for event in events), "keys": Texts(event.key for event in events)}
        rows = await statements.run("intake/find_repeated", parameters)
        return {
            (app_id, key): Accepted(event_id=event_id, run_ids=tuple(run_ids), duplicate=True)
            for app_id, key, event_id, run_ids in rows
        }

    async def _triggered(
        self, statements: Statements, fresh: Sequence[tuple[UUID, NewEvent]]
    ) -> tuple[list[NewRun], list[bool]]:
        """The runs that `fresh` events start, and which of them are held because their definition is suspended."""
        if not fresh:
            return [], []
        pairs = {(event.app_id, event.name) for _, event in fresh}
        rows = await statements.run(
            "intake/match_triggers",
            {"app_ids": Texts(app_id for app_id, _ in pairs), "event_names": Texts(name for _, name in pairs)},
        )
        matches: dict[tuple[str, str], list[_Match]] = {}
        for row in rows:
            match = _Match(*row)
            matches.setdefault((match.app_id, match.event_name), []).append(match)
        wanted = {(match.definition_id, match.revision) for found in matches.values() for match in found}
        policies = await self._policies_of(statements, wanted)
        runs: list[NewRun] = []
        held: list[bool] = []
        for event_id, event in fresh:
            started: set[int] = set()
            for match in matches.get((event.app_id, event.name), ()):
                if match.definition_id in started or (
                    match.condition is not None and not _holds(match.condition, event_id, event)
                ):
                    continue
                started.add(match.definition_id)
                policy = policies[match.definition_id, match.revision]
                held.append(match.suspended)
                runs.append(
                    NewRun(
                        app_id=event.app_id,
                        definition_id=match.definition_id,
                        kind=Kind(match.kind),
                        name=match.name,
                        revision=match.revision,
                        trigger=Trigger.EVENT,
                        event_ref=event.deduplicate or str(event_id),
                        event_name=event.name,
                        input=event.data,
                        event_id=event_id,
                        priority=policy.priority,
                        run_timeout=policy.run_timeout,
                        start_timeout=policy.start_timeout,
                    )
                )
        return runs, held

    async def _policies_of(
        self, statements: Statements, wanted: set[tuple[int, int]]
    ) -> dict[tuple[int, int], Policies]:
        """Revisions never change, so what was read of them once stays true."""
        missing = [key for key in wanted if key not in self._policies]
        if missing:
            rows = await statements.run(
                "intake/get_policies",
                {
                    "definition_ids": Bigints(key[0] for key in missing),
                    "revisions": Integers(key[1] for key in missing),
                },
            )
            if len(self._policies) > _CACHED_POLICIES:
                self._policies.clear()
            for definition_id, number, document in rows:
                parsed = orjson.loads(document)
                timeouts = parsed.get("timeouts") or {}
                self._policies[definition_id, number] = Policies(
                    priority=int(parsed.get("priority") or 0),
                    run_timeout=_duration(timeouts.get("run")),
                    start_timeout=_duration(timeouts.get("start")),
                )
        return {key: self._policies[key] for key in wanted}

    async def _insert(
        self,
        statements: Statements,
        ids: Sequence[UUID],
        runs: Sequence[NewRun],
        held: Sequence[bool],
        *,
        delay: timedelta = timedelta(),
        key: str | None = None,
        events: Sequence[tuple[UUID, NewEvent]] = (),
    ) -> dict[UUID, bool]:
        """Answers the ids of the events and of the runs that were accepted, all but the repeats. True: an event
        that runs may wait for.
        `key`: the idempotency key of the one run."""
        rows = await statements.run(
            "intake/accept",
            {
                "keys": Texts(event.key for _, event in events),
                "window": WINDOW,
                "new_event_ids": Uuids(event_id for event_id, _ in events),
                "new_event_apps": Texts(event.app_id for _, event in events),
                "external_ids": Texts(event.deduplicate or str(event_id) for event_id, event in events),
                "new_event_names": Texts(event.name for _, event in events),
                "data": Byteas(event.data for _, event in events),
                "ids": Uuids(ids),
                "app_ids": Texts(run.app_id for run in runs),
                "definition_ids": Bigints(run.definition_id for run in runs),
                "kinds": Texts(run.kind.value for run in runs),
                "names": Texts(run.name for run in runs),
                "revisions": Integers(run.revision for run in runs),
                "held": Booleans(held),
                "triggers": Texts(run.trigger.value for run in runs),
                "event_ids": Uuids(run.event_id for run in runs),
                "event_refs": Texts(run.event_ref for run in runs),
                "event_names": Texts(run.event_name for run in runs),
                "inputs": Byteas(run.input for run in runs),
                "labels": Texts(json.dumps(dict(run.labels)) for run in runs),
                "reruns": Uuids(run.rerun_of for run in runs),
                "run_timeouts": Intervals(run.run_timeout for run in runs),
                "start_timeouts": Intervals(run.start_timeout for run in runs),
                "priorities": Integers(run.priority for run in runs),
                "delays": Intervals(delay for _ in runs),
                "run_keys": Texts(key for _ in runs),
            },
        )
        return dict(rows)


def _duration(text: str | None) -> timedelta | None:
    return None if text is None else parse_duration(text)


def _holds(condition: str, event_id: UUID, event: NewEvent) -> bool:
    """A condition that can't be evaluated on this event (a missing field, say) does not hold."""
    try:
        trigger = EventTrigger(name=event.name, condition=condition)
        return trigger.accepts(
            {"id": event.deduplicate or str(event_id), "name": event.name, "data": orjson.loads(event.data)}
        )
    except ExpressionError:
        return False
