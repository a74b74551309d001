"""From an app's answer to the one exchange that is committed. Pure: time and jitter are arguments.

What an answer may say is decided here. A well-signed answer that names a finished step again, or uses a part of the wire
that this release doesn't know, is illegal and fails the run at once, with the reason in the run's error.

Of several operations each stands alone: results are journaled, failures tried again after their own backoff, waits opened.
The lease goes on when there was anything that a next call could build on; otherwise the run parks until one of its waits
is resolved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from stepwell_protocol import limits
from stepwell_protocol.wire import (
    Continue,
    Done,
    ErrorData,
    InvokeRun,
    Log,
    Operation,
    Progress,
    RunError,
    SendEvent,
    Signal,
    SleepUntil,
    StepDone,
    StepFailed,
    WaitFor,
    encode_error,
)

from ..journal.queue import Exchange, NewEntry, NewWait
from ..machine import EXECUTING, RunEvent, decide
from ..model import Entry
from ..retry import RetryAfter, RetryPolicy
from ..retry import decide as decide_retry
from .leased import WHOLE_RUN, LeasedRun

#: The error by which an SDK says that a handler no longer reaches what is journaled.
NON_DETERMINISTIC = "NonDeterministic"


class IllegalAnswer(Exception):
    """The answer says something that can't be. The run fails with it."""


@dataclass(frozen=True, slots=True)
class EventsSent:
    """A `sendEvent` operation whose events are accepted; `data` lists their ids."""

    id: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What an exchange is turned under: the time by the database's clock, when the call left, how long the app took, and a
    random number in [0, 1) for the backoff."""

    now: datetime
    called_at: datetime
    app_ms: float
    jitter: float
    policy: RetryPolicy
    raises_failures: bool
    """The app's protocol can hand a step's failure to its handler (version 2)."""


class _Turn:
    """One exchange in the making."""

    def __init__(self, run: LeasedRun, under: Circumstances) -> None:
        self.run = run
        self.under = under
        self.progressed = False
        self.backing_off = False
        self.exchange = run.exchange()

    def entry(self, entry: Entry, **columns: object) -> None:
        under = self.under
        self.exchange.entries.append(
            NewEntry(ordinal=self.run.ordinal(), entry=entry, called_at=under.called_at, app_ms=under.app_ms, **columns)  # type: ignore[arg-type]
        )

    def result(self, step: str, *, type: str, data: bytes) -> None:
        attempt = self.run.attempts.get(step, 0) + 1
        self.run.settle(step, type=type, data=data)
        self.progressed = True
        self.entry(Entry.STEP_COMPLETED, step=step, type=type, attempt=attempt, data=data)
        if self.run.size > limits.JOURNAL_BYTES:
            over = limits.over_limit("the run's journal", size=self.run.size, limit=limits.JOURNAL_BYTES)
            self.fail(ErrorData(name="JournalTooLarge", message=over or "", retryable=False))

    def wait(self, step: str, **columns: object) -> None:
        wait = NewWait(step=step, **columns)  # type: ignore[arg-type]
        if step in self.run.pending:
            return
        self.run.pending[step] = wait.type
        self.exchange.waits.append(wait)
        if wait.type != "retry":
            self.entry(Entry.WAIT_STARTED, step=step, type=wait.type, due=wait.due, data=wait.match)

    def failed(self, step: str | None, error: ErrorData) -> None:
        """An attempt failed: again after a backoff, or for good."""
        attempt = self.run.fail_attempt(step)
        verdict = decide_retry(
            self.under.policy,
            attempts_used=attempt,
            retryable=error.retryable,
            retry_after=None if error.retry_after is None else timedelta(seconds=error.retry_after),
            jitter=self.under.jitter,
        )
        encoded = encode_error(error)
        if isinstance(verdict, RetryAfter):
            due = self.under.now + verdict.delay
            self.entry(Entry.ATTEMPT_FAILED, step=step, type="run", attempt=attempt, error=encoded, due=due)
            self.wait(step or WHOLE_RUN, type="retry", due=due)
            self.backing_off = self.backing_off or step is None
            return
        if step is None:
            self.entry(Entry.ATTEMPT_FAILED, step=None, type="run", attempt=attempt, error=encoded)
            self.fail(error)
            return
        self.entry(Entry.STEP_FAILED, step=step, type="run", attempt=attempt, error=encoded)
        self.run.settle(step, type="run", error=encoded)
        self.progressed = True
        if not self.under.raises_failures:
            self.fail(error)

    def fail(self, error: ErrorData) -> None:
        if self.exchange.outcome == "end":
            return
        after = decide(EXECUTING, RunEvent.FAILED, run=self.run.id)
        self.exchange.outcome, self.exchange.status = "end", after.status.value
        self.exchange.reason, self.exchange.error = reason_of(error), encode_error(error)
        self.entry(Entry.RUN_FAILED, error=self.exchange.error)

    def complete(self, output: bytes) -> None:
        after = decide(EXECUTING, RunEvent.COMPLETED, run=self.run.id)
        self.exchange.outcome, self.exchange.status, self.exchange.output = "end", after.status.value, output
        self.entry(Entry.RUN_COMPLETED)

    def pause(self, reason: str, error: ErrorData) -> None:
        after = decide(EXECUTING, RunEvent.PAUSED, run=self.run.id)
        self.exchange.outcome, self.exchange.activity, self.exchange.reason = "pause", after.activity, reason
        self.exchange.error = None
        self.entry(Entry.RUN_PAUSED, error=encode_error(error))

    def finish(self) -> Exchange:
        if self.exchange.outcome == "go" and (self.backing_off or not self.progressed):
            park(self.exchange, self.run.pending)
        self.exchange.steps = len(self.run.results)
        return self.exchange


def park(exchange: Exchange, pending: dict[str, str]) -> None:
    """Nothing to do until a wait is resolved. What people see: waiting for somebody, or only for time to pass."""
    types = set(pending.values())
    event = RunEvent.WAITED if "wait" in types else RunEvent.SLEPT
    exchange.outcome = "park"
    exchange.activity = decide(EXECUTING, event).activity
    exchange.reason = "RetryBackoff" if types == {"retry"} else None


def turn(run: LeasedRun, ops: Sequence[Operation | EventsSent], under: Circumstances) -> Exchange:
    """The exchange for what the app answered. Raises IllegalAnswer."""
    turning = _Turn(run, under)
    for op in ops:
        _apply(turning, op)
    if turning.exchange.outcome == "go" and not turning.progressed and not run.pending:
        raise IllegalAnswer("the answer holds no operation and nothing is pending: the run could never go on")
    return turning.finish()


def failed(run: LeasedRun, error: ErrorData, under: Circumstances) -> Exchange:
    """The exchange for a call that used up an attempt without naming a step: a timeout, HTTP 500, an unsigned answer."""
    turning = _Turn(run, under)
    turning.failed(None, error)
    return turning.finish()


def refused(run: LeasedRun, error: ErrorData, under: Circumstances) -> Exchange:
    """The exchange for an answer that can't be: the run fails at once."""
    turning = _Turn(run, under)
    turning.fail(error)
    return turning.finish()


def reason_of(error: ErrorData) -> str:
    """A CamelCase reason for the run's status, from the error's name."""
    name = "".join(part for part in error.name if part.isalnum())
    return name[:64] or "Error"


def _apply(turning: _Turn, op: Operation | EventsSent) -> None:
    run = turning.run
    if turning.exchange.outcome == "end":
        return
    match op:
        case StepDone(id=step, data=data):
            refuse_result(run, step)
            turning.result(step, type="run", data=data)
        case EventsSent(id=step, data=data):
            refuse_result(run, step)
            turning.result(step, type="sendEvent", data=data)
        case StepFailed(id=step, error=error):
            refuse_result(run, step)
            turning.failed(step, error)
        case SleepUntil(id=step, until=until):
            _refuse_finished(run, step)
            turning.wait(step, type="sleep", due=until)
        case WaitFor(id=step, event=event, match=match, until=until):
            _refuse_finished(run, step)
            turning.wait(step, type="wait", due=until, event_name=event, match=match)
        case Done(data=data):
            turning.complete(data)
        case RunError(error=error) if error.name == NON_DETERMINISTIC:
            turning.pause(NON_DETERMINISTIC, error)
        case RunError(error=error):
            turning.failed(None, error)
        case Continue():
            turning.progressed = True
        case Progress() | Log():
            turning.progressed = turning.progressed or not run.pending
        case InvokeRun() | Signal():
            name = "invoke" if isinstance(op, InvokeRun) else "signal"
            raise IllegalAnswer(f"the operation {name!r} is not supported by this release of the engine")
        case SendEvent():
            raise AssertionError("events are accepted before the turn")
        case _:
            assert_never(op)


def refuse_result(run: LeasedRun, step: str) -> None:
    """Raises IllegalAnswer unless the app may report how `step` went. A sleep or a wait is settled by the engine alone: a
    second result for it would break the run when its time comes. A step in backoff may have been run early."""
    _refuse_finished(run, step)
    if (pending := run.pending.get(step)) in ("sleep", "wait"):
        raise IllegalAnswer(
            f"step {step!r} is pending as a {pending}: a handler neither runs nor reports it, and a name is used only once "
            f"(a second use in one run is {step}#2)"
        )


def _refuse_finished(run: LeasedRun, step: str) -> None:
    if step in run.results:
        raise IllegalAnswer(
            f"step {step!r} has a result already: a handler must give stored results at once and use a name only once "
            f"(a second use in one run is {step}#2)"
        )
    if len(step) > limits.ID_CHARS or step.startswith("$"):
        raise IllegalAnswer(
            f"{step[:40]!r} can't be a step's id: at most {limits.ID_CHARS} characters, not starting with '$'"
        )
