"""An engine in memory, for tests: it calls the app as a real one does, and keeps time by itself.

It follows the rules of the real engine for steps, attempts, backoff (without jitter), sleeps, waits and events. It has
no schedules: a cron function is started by hand. CEL conditions of triggers are the engine's own and are refused here.
"""

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar, assert_never

import pydantic_core

from stepwell.app import App
from stepwell.endpoint import Endpoint, Reply, Request
from stepwell.errors import Mistake
from stepwell.handlers import Function
from stepwell.replay import NON_DETERMINISTIC
from stepwell.shapes import PLAIN
from stepwell.testing.trial import WHOLE_RUN, Entry, Journal, Trial, TrialWaits, Wait
from stepwell.triggers import Backoff
from stepwell.triggers import Event as EventTrigger
from stepwell.turn import Surroundings
from stepwell_protocol import headers, wire
from stepwell_protocol.answer import decode_answer_v1
from stepwell_protocol.durations import parse_duration
from stepwell_protocol.signing import sign_v1, sign_v2, verify_v1, verify_v2

I = TypeVar("I")  # noqa: E741 - a handler's input, beside O
O = TypeVar("O")  # noqa: E741

_KEY: Final = "sandbox"
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_CALL_MS: Final = 3_600_000
_MOST_CALLS: Final = 10_000

Mode = Literal["checkpointing", "call-per-round", "version-1"]


class Sandbox:
    """An app and an engine in one process, without a network."""

    def __init__(
        self,
        app: App,
        *,
        always_replay: bool = False,
        mode: Mode | None = None,
        now: datetime = _START,
    ) -> None:
        """Make a sandbox.

        Args:
            app: whose functions to run.
            always_replay: call the handler from the top after every step, and once more after its end.
            mode: how to call. Checkpointing goes on in the same call; call-per-round makes a new call for each round of
                steps;
                version-1 makes one for each step. By default checkpointing, or call-per-round with always_replay.
            now: where time begins.
        """
        self._app = app
        self._always_replay = always_replay
        self._mode: Mode = mode or ("call-per-round" if always_replay else "checkpointing")
        self._time = now.timestamp()
        self._fakes: dict[str, Callable[..., Any]] = {}
        self._runs: dict[str, Journal] = {}
        self._ready: list[Journal] = []
        self._events: list[wire.Event] = []
        self._ids = itertools.count(1)
        self._token = 1
        self._endpoint = Endpoint(
            functions=app.handlers,
            steps=app.step_handlers,
            keys=lambda: (_KEY,),
            describe=app.describe,
            around=Surroundings(
                executor=lambda: app.executor,
                checkpointer=self if self._mode == "checkpointing" else None,
                now=lambda: self._time,
                send=self._send,
                fakes=self._fakes,
            ),
        )

    @property
    def now(self) -> datetime:
        """The sandbox's time."""
        return datetime.fromtimestamp(self._time, UTC)

    @property
    def events(self) -> list[wire.Event]:
        """Every event that was sent, by the test or by a step."""
        return list(self._events)

    def fake(
        self,
        step: str,
        *,
        returns: object = None,
        raises: BaseException | None = None,
        calls: Callable[..., Any] | None = None,
    ) -> None:
        """Replace the code of a step (of any run): let it return, raise, or call something else with its arguments."""

        def fake(*args: Any, **kwargs: Any) -> Any:
            if raises is not None:
                raise raises
            return returns if calls is None else calls(*args, **kwargs)

        self._fakes[step] = fake

    async def start(self, function: Function[I, O], input: I | None = None) -> Trial[O]:
        """Start a run and let it go as far as it comes without time passing."""
        shape = function.handler.input if function.handler.takes_input else PLAIN
        journal = self._make(function, event=None, data=shape.dump(input))
        await self._settle()
        return Trial(journal, self._finish)

    async def send(self, name: str, data: object = None, *, id: str | None = None) -> list[Trial[Any]]:
        """Send an event: it resolves waits and starts functions.

        Gives the runs it started, gone as far as they come.
        """
        started = self._accept(name, PLAIN.dump(data), id)
        await self._settle()
        return [Trial(journal, self._finish) for journal in started]

    async def advance(self, duration: str | timedelta) -> None:
        """Let time pass; every timer on the way fires at its own time."""
        length = parse_duration(duration) if isinstance(duration, str) else duration
        until = self._time + length.total_seconds()
        while (due := self._next_due()) is not None and due <= until:
            await self._pass_to(due)
        self._time = until
        await self._settle()

    async def call_step(self, handler: str, input: object = None, *, attempt: int = 1) -> Any:
        """Call a workflow step's handler (`@app.step`), and give its result as plain JSON.

        Raises:
            StepFailed: it failed.
        """
        from stepwell.errors import StepFailed

        body = wire.encode_workflow_call(
            f"run-{next(self._ids)}",
            workflow="sandbox",
            step_id=handler,
            handler=handler,
            attempt=attempt,
            input=PLAIN.dump(input),
            results={},
            call=self._call(seq=1),
        )
        answer = self._answer(await self._post(body))
        match answer.ops:
            case (wire.StepDone(data=data),):
                return pydantic_core.from_json(data)
            case (wire.StepFailed(id=id, error=error),):
                raise StepFailed(id, error)
        raise AssertionError(f"a step's handler answers with one result or failure, not {answer.ops}")

    async def report(self, url: str, item: wire.CheckpointItem, *, until: float) -> wire.CheckpointReply:
        """The sandbox is its app's checkpointer."""
        assert url
        assert until
        journal = self._runs[item.run_id]
        journal.seq = item.seq
        known = set(journal.entries)
        progressed = self._apply(journal, item.ops)
        if journal.status != "active" or WHOLE_RUN in journal.waits or not (progressed or not item.ops):
            return wire.Stop("the run waits or has ended")
        mine = {op.id for op in item.ops if isinstance(op, wire.StepDone)}
        added = {
            step: pydantic_core.from_json(b"{%b}" % _encoded(step, entry))[step]
            for step, entry in journal.entries.items()
            if step not in known and step not in mine
        }
        now = int(self._time * 1000)
        return wire.Go(now + _CALL_MS, now + _CALL_MS, added)

    def _make(self, function: Function[Any, Any], *, event: wire.Event | None, data: bytes) -> Journal:
        number = next(self._ids)
        options = function.options
        backoff: Backoff = options["backoff"] or Backoff()
        journal = Journal(
            id=f"run-{number}",
            handler=function.handler,
            event=event or wire.Event(f"start-{number}", "$start", None),
            input=data,
            max_attempts=options["max_attempts"] or 3,
            pause=lambda failures: _pause(backoff, failures),
        )
        self._runs[journal.id] = journal
        self._ready.append(journal)
        return journal

    async def _send(self, event: wire.SentEvent) -> str:
        if all(event.id != known.id for known in self._events):
            self._accept(event.name, event.data, event.id)
        return event.id or self._events[-1].id

    def _accept(self, name: str, data: bytes, id: str | None) -> list[Journal]:
        event = wire.Event(id or f"event-{next(self._ids)}", name, pydantic_core.from_json(data))
        self._events.append(event)
        seen = b'{"id":%b,"name":%b,"data":%b}' % (PLAIN.dump(event.id), PLAIN.dump(name), data)
        for journal in self._runs.values():
            for step, wait in list(journal.waits.items()):
                if wait.event == name and _is_subset(wait.match, event.data):
                    self._resolve(journal, step, Entry("wait", seen))
        return [
            self._make(function, event=event, data=data)
            for function in self._app.functions.values()
            for trigger in function.options["triggers"]
            if isinstance(trigger, EventTrigger) and trigger.name == name and _unconditional(trigger)
        ]

    async def _finish(self, journal: Journal) -> None:
        await self._settle()
        while journal.status == "active":
            due = self._next_due()
            if due is None:
                waits = ", ".join(f"{step!r} ({wait.event or wait.kind})" for step, wait in journal.waits.items())
                raise TrialWaits(f"the run waits for {waits}, and no timer will end that: send the event first")
            await self._pass_to(due)

    async def _pass_to(self, due: float) -> None:
        self._time = max(self._time, due)
        for journal in self._runs.values():
            for step, wait in list(journal.waits.items()):
                if wait.due is not None and wait.due <= self._time:
                    self._resolve(journal, step, None if wait.kind == "retry" else Entry(wait.kind, b"null"))
        await self._settle()

    def _next_due(self) -> float | None:
        active = [journal for journal in self._runs.values() if journal.status == "active"]
        return min((wait.due for run in active for wait in run.waits.values() if wait.due is not None), default=None)

    def _resolve(self, journal: Journal, step: str, entry: Entry | None) -> None:
        del journal.waits[step]
        if entry is not None:
            journal.entries[step] = entry
        if journal not in self._ready:
            self._ready.append(journal)

    async def _settle(self) -> None:
        while self._ready:
            journal = self._ready.pop(0)
            if journal.status == "active" and WHOLE_RUN not in journal.waits:
                await self._drive(journal)

    async def _drive(self, journal: Journal) -> None:
        """Call the app until the run parks or ends."""
        self._token += 1
        journal.seq = 0
        progressed = True
        while progressed and journal.status == "active":
            journal.seq += 1
            ops = await self._exchange(journal)
            progressed = self._apply(journal, ops) and WHOLE_RUN not in journal.waits
        if journal.status == "completed" and self._always_replay:
            await self._replay(journal)

    async def _exchange(self, journal: Journal) -> tuple[wire.Operation, ...]:
        journal.calls += 1
        if journal.calls > _MOST_CALLS:
            raise AssertionError(f"run {journal.id} was called {_MOST_CALLS:,} times: it goes round in circles")
        reply = await self._post(self._body(journal))
        if self._mode == "version-1":
            assert verify_v1(reply.body, dict(reply.headers)[headers.SIGNATURE_V1], [_KEY])
            return (decode_answer_v1(reply.body),)
        answer = self._answer(reply)
        journal.seq = answer.seq
        return answer.ops

    async def _replay(self, journal: Journal) -> None:
        """Call the ended run once more: it must come to the same end over the same steps."""
        journal.seq += 1
        ops = await self._exchange(journal)
        match ops:
            case (wire.Done(data=data),) if data == journal.output:
                return
        raise AssertionError(
            f"replayed after its end, the handler did {ops} instead of returning {journal.output!r} again"
        )

    def _body(self, journal: Journal) -> bytes:
        event = wire.encode_event(journal.event.id, name=journal.event.name, data=journal.input)
        entries = [_encoded(step, entry) for step, entry in journal.entries.items()]
        terms = None
        if self._mode != "version-1":
            terms = wire.Terms(
                self._call(seq=journal.seq),
                revision=1,
                attempts=journal.attempts,
                pending=list(journal.waits),
                checkpoint_url="memory:" if self._mode == "checkpointing" else None,
            )
        return wire.encode_invoke(
            journal.id, function_id=journal.handler.name, event=event, entries=entries, terms=terms
        )

    def _call(self, *, seq: int) -> wire.Call:
        now = int(self._time * 1000)
        return wire.Call(self._token, seq, now + _CALL_MS, now + _CALL_MS, _CALL_MS)

    async def _post(self, body: bytes) -> Reply:
        name = headers.SIGNATURE_V1 if self._mode == "version-1" else headers.SIGNATURE
        signature = sign_v1(body, _KEY) if self._mode == "version-1" else sign_v2(body, _KEY, now=self._time)
        return await self._endpoint.answer(Request("POST", {name.encode(): signature.encode()}, body))

    def _answer(self, reply: Reply) -> wire.Answer:
        assert reply.status == 200, f"the app answered {reply.status}: {reply.body.decode()}"
        verify_v2(reply.body, dict(reply.headers)[headers.SIGNATURE], [_KEY], now=self._time)
        return wire.decode_answer_v2(reply.body)

    def _apply(self, journal: Journal, ops: tuple[wire.Operation, ...]) -> bool:
        """Journal what the app answered. Whether a next call could go on from there."""
        progressed = False
        for op in ops:
            progressed = self._apply_one(journal, op) or progressed
        return progressed

    def _apply_one(self, journal: Journal, op: wire.Operation) -> bool:
        match op:
            case wire.StepDone(id=id, data=data):
                _journal(journal, id, Entry("run", data))
                return True
            case wire.SendEvent(id=id, events=events):
                ids = [event.id or f"event-{next(self._ids)}" for event in events]
                for event, event_id in zip(events, ids, strict=True):
                    self._accept(event.name, event.data, event_id)
                _journal(journal, id, Entry("sendEvent", PLAIN.dump(ids)))
                return True
            case wire.SleepUntil(id=id, until=until):
                journal.waits[id] = Wait("sleep", until.timestamp())
            case wire.WaitFor(id=id, event=name, match=match, until=end):
                journal.waits[id] = Wait("wait", None if end is None else end.timestamp(), name, match)
            case wire.StepFailed(id=id, error=error):
                return self._failed(journal, id, error)
            case wire.RunError(error=error) if error.name == NON_DETERMINISTIC:
                journal.status, journal.error = "paused", error
            case wire.RunError(error=error):
                return self._failed(journal, WHOLE_RUN, error)
            case wire.Done(data=data):
                journal.status, journal.output = "completed", data
            case wire.Continue():
                return True
            case wire.Progress() | wire.Log():
                pass
            case wire.InvokeRun() | wire.Signal():
                raise Mistake(f"the sandbox does not know {op!r}")
            case _:
                assert_never(op)
        return False

    def _failed(self, journal: Journal, step: str, error: wire.ErrorData) -> bool:
        failures = journal.attempts[step] = journal.attempts.get(step, 0) + 1
        if error.retryable and failures < journal.max_attempts:
            pause = journal.pause(failures) if error.retry_after is None else error.retry_after
            journal.waits[step] = Wait("retry", self._time + pause)
            return False
        if step == WHOLE_RUN or self._mode == "version-1":
            journal.status, journal.error = "failed", error
            return False
        _journal(journal, step, Entry("run", error=error))
        return True


def _journal(journal: Journal, step: str, entry: Entry) -> None:
    assert step not in journal.entries, f"step {step!r} was reported twice"
    journal.entries[step] = entry
    journal.attempts.pop(WHOLE_RUN, None)


def _encoded(step: str, entry: Entry) -> bytes:
    error = None if entry.error is None else wire.encode_error(entry.error)
    return wire.encode_entry(step, type=entry.type, data=entry.data, error=error)


def _pause(backoff: Backoff, failures: int) -> float:
    document = backoff.document()
    first, most = (parse_duration(document[name]).total_seconds() for name in ("initial", "max"))
    match backoff.growth:
        case "Exponential":
            return min(most, first * 2.0 ** (failures - 1))
        case "Linear":
            return min(most, first * failures)
        case "Constant":
            return min(most, first)


def _unconditional(trigger: EventTrigger) -> bool:
    if trigger.condition is not None:
        raise Mistake(
            f"the condition {trigger.condition!r} is CEL, which only the engine evaluates: start the function by hand"
        )
    return True


def _is_subset(match: bytes | None, data: Any) -> bool:
    return match is None or _contains(data, pydantic_core.from_json(match))


def _contains(data: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(data, Mapping) and all(
            name in data and _contains(data[name], value) for name, value in wanted.items()
        )
    return bool(data == wanted)
