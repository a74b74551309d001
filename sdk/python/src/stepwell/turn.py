"""One call of a handler: runs the code, decides when the call can bring nothing more, and gathers what to answer.

A handler runs in the task (or the thread) of its request. A step whose result is not known yet runs its code at once;
the result counts only once the engine has committed it. With checkpointing the turn reports the result, waits for `go`
and hands it on, all in the same call; without it the call ends there, and the next one finds the result in the journal.

`Turn` holds what async and plain handlers have in common; `async_turn` and `thread_turn` say how code is run and waited
for. Ending a call early is an `Interrupt`, raised where the code waits.
"""

import contextvars
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol

from stepwell.current import CurrentStep, running
from stepwell.errors import Interrupt, Mistake
from stepwell.failures import as_data
from stepwell.place import Place
from stepwell.replay import Reached, Replay, unreached_mistake
from stepwell_protocol.wire import (
    CheckpointItem,
    CheckpointReply,
    Continue,
    Done,
    ErrorData,
    Go,
    Invoke,
    Operation,
    RunError,
    SendEvent,
    SentEvent,
    StepDone,
    StepFailed,
)


class CheckpointLost(Exception):
    """Whether the engine has committed a report is not known; the call must end without an answer."""


class Checkpointer(Protocol):
    """Reports finished steps while a call is under way."""

    async def report(self, url: str, item: CheckpointItem, *, until: float) -> CheckpointReply:
        """The engine's reply, after its commit.

        Raises `CheckpointLost` when none can be had by `until` (unix seconds).
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What calls are run with: the same for all calls of an app.

    Args:
        executor: gives the pool where plain functions run.
        checkpointer: reports finished steps while a call is under way; without it, calls end at every step.
        now: unix time in seconds.
        send: sends an event; needed only under version 1 of the wire, which has no operation for it.
        fakes: what runs instead of a step's code, by the step's id; for tests.
    """

    executor: Callable[[], Executor]
    checkpointer: Checkpointer | None = None
    now: Callable[[], float] = time.time
    send: Callable[[SentEvent], Awaitable[str]] | None = None
    fakes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


class Turn(ABC):
    """One call of one handler."""

    def __init__(self, invoke: Invoke, around: Surroundings) -> None:
        self.invoke = invoke
        self.call = invoke.call
        self.now = around.now
        self.replay = Replay(invoke.steps, pending=invoke.pending)
        self.unawaited: dict[object, Place] = {}
        self.seq = invoke.call.seq if invoke.call else 0
        self.closed = False
        self.lost = False
        self.timed_out = False
        self.mistake: Mistake | None = None
        self.checkpointer = around.checkpointer if invoke.checkpoint_url and invoke.call else None
        self.around = around
        self.running: dict[str, CurrentStep] = {}
        self._committed: set[str] = set()
        self._began = around.now()
        self.handler_began = self._began
        self._start_by = invoke.call.start_by if invoke.call else 0
        self._end_by = invoke.call.end_by if invoke.call else 0

    @property
    def end_by(self) -> int | None:
        """When the call's time is up, in unix milliseconds; None under version 1 of the wire."""
        return self._end_by if self.call is not None else None

    def arrive(self) -> None:  # noqa: B027 - a plain handler is all there is
        """Note who uses `step`."""

    def blame(self, mistake: Mistake) -> Mistake:
        """Note a mistake, so that the run fails with it even when the handler catches it."""
        if self.mistake is None:
            self.mistake = mistake
        return mistake

    def reach(self, name: str, *, type: str, where: Place) -> Reached:
        """Look a step up, if the call goes on and no step is running around this one."""
        self.arrive()
        if self.closed:
            raise Interrupt
        inside = running.get()
        if inside is not None and inside.run_id == self.invoke.run_id:
            raise self.blame(
                Mistake(
                    f"a step was started inside step {inside.id!r} ({where}): a step's code is one unit; "
                    "start the inner step from the handler, before or after"
                )
            )
        try:
            return self.replay.reach(name, type=type, where=where)
        except Mistake as mistake:
            raise self.blame(mistake) from None

    def knows(self, id: str) -> bool:
        """Whether the step's result is in the engine's journal."""
        return id in self._committed or id in self.replay.journal

    def in_time(self) -> bool:
        """Whether a fresh step may run its code now. If not, `may_start` says what else."""
        return self.call is not None and self.now() * 1000 <= self._start_by

    async def may_start(self, id: str) -> None:
        """Return when a fresh step may run its code now. Else the call ends here."""
        if self.call is None:
            if self.replay.ops or self.running:
                await self.wait(id)
            return
        while self.now() * 1000 > self._start_by:
            if self.checkpointer is not None and not self.concurrent():
                self.replay.ops.append(Continue())
                await self._report()
                continue
            if not self.replay.ops:
                self.replay.ops.append(self._started_late(id))
            await self.wait(id, late=True)

    def enter(self, id: str) -> "contextvars.Token[CurrentStep | None]":
        """A step's own code begins."""
        token = self.call.token if self.call else None
        current = CurrentStep(self.invoke.run_id, id, self.invoke.attempts.get(id, 0) + 1, token)
        self.running[id] = current
        return running.set(current)

    def leave(self, id: str, mark: "contextvars.Token[CurrentStep | None]") -> None:
        """A step's own code has ended."""
        running.reset(mark)
        del self.running[id]

    @abstractmethod
    async def run_code(
        self, id: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a step's own code, between `enter` and `leave`."""

    @abstractmethod
    def time_out(self) -> None:
        """End the call because its time is up."""

    @abstractmethod
    async def wait(self, id: str, *, late: bool = False) -> None:
        """Return once the engine's journal holds the step's result; if that takes another call, this one ends here.

        A `late` step has not started, because the time to start has passed; it is let go as soon as there is more time.
        """

    @abstractmethod
    def concurrent(self) -> bool:
        """Whether other branches of the handler may be at work."""

    @abstractmethod
    async def _send(self, item: CheckpointItem, *, url: str, until: float) -> CheckpointReply: ...

    async def advance(self) -> None:
        """Commit what there is, if this call can go on after it. Raises Interrupt when the call is over."""
        if self.can_advance():
            await self._report()

    def can_advance(self) -> bool:
        """Whether there is anything whose commit lets the handler go on in this call."""
        return self.checkpointer is not None and any(isinstance(op, StepDone | SendEvent) for op in self.replay.ops)

    def end(self) -> None:
        """Nothing more is started in this call."""
        self.closed = True

    def conclude(
        self, output: Any, failure: BaseException | None, *, encode: Callable[[Any], bytes]
    ) -> list[Operation]:
        """What to answer, once the handler has ended with an output or an exception.

        Raises:
            CheckpointLost: there must be no answer.
        """
        if self.lost:
            raise CheckpointLost
        if isinstance(failure, (KeyboardInterrupt, SystemExit)):
            raise failure
        ops = self.replay.ops
        if failure is None and not self.closed:
            self._look_for_mistakes()
        if self.mistake is not None:
            results = [op for op in ops if isinstance(op, StepDone)] if self.call is not None else []
            return [*results, RunError(as_data(self.mistake))]
        if self.closed or isinstance(failure, Interrupt):
            return ops
        if failure is None:
            try:
                return [*ops, Done(encode(output))]
            except Mistake as mistake:
                failure = mistake
        return [*ops, RunError(as_data(failure))]

    def _started_late(self, id: str) -> Operation:
        """What to report of a step that has not started in time: that another call is needed, or, where it was the
        handler itself that took the time, that no other call would go better."""
        window = self._start_by / 1000 - self._began
        if self.handler_began - self._began > window / 2:
            return Continue()
        took = self.now() - self.handler_began
        return StepFailed(
            id,
            ErrorData(
                "StartedTooLate",
                f"the handler took {took:.1f} s before it came to step {id!r}; a step must start within {window:.1f} s of "
                "the call: slow things belong into steps",
            ),
        )

    def _look_for_mistakes(self) -> None:
        if self.unawaited:
            listed = ", ".join(sorted({str(place) for place in self.unawaited.values()})[:5])
            self.mistake = Mistake(f"a step was made but never awaited: write `await` in front of it, at {listed}")
        elif waiting := self._unfinished():
            listed = ", ".join(map(repr, waiting))
            self.mistake = Mistake(f"the handler returned while {listed} had not ended: await every task it starts")
        elif unreached := self.replay.unreached():
            self.mistake = unreached_mistake(unreached)

    def _unfinished(self) -> list[str]:
        return list(self.running)

    async def _report(self) -> None:
        """Send what there is to report and take the reply in. Raises Interrupt when the call is over."""
        call, url = self.call, self.invoke.checkpoint_url
        assert call is not None
        assert url is not None
        ops = tuple(self.replay.ops)
        item = CheckpointItem(self.invoke.run_id, call.token, self.seq, ops)
        try:
            reply = await self._send(item, url=url, until=self._end_by / 1000)
        except CheckpointLost:
            self.lost = True
            self.end()
            raise Interrupt from None
        del self.replay.ops[: len(ops)]
        self.seq += 1
        if not isinstance(reply, Go):
            self.end()
            raise Interrupt
        self._start_by, self._end_by = reply.start_by, reply.end_by
        self.replay.adopt(reply.steps)
        self._committed.update(op.id for op in ops if isinstance(op, StepDone))
        if (self.now() - self._began) * 1000 >= call.budget_ms:
            self.replay.ops.append(Continue())
            self.end()
            raise Interrupt
