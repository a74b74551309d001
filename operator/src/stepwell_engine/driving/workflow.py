"""A leased workflow run: ask the plan what to do, do it, commit what came of it, ask again.

The plan (`stepwell_engine.plan`) is pure and knows the declared steps; this loop knows calls, commits and time. Parallel steps
are concurrent calls under one lease. Each finished call is committed as soon as it is there, together with what else finished
meanwhile; the plan is asked again only after that commit. When nothing is in flight and only waits are pending, the run parks.

A crash between a call and its commit means that the step is called again, under the same name, input and idempotency key.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, assert_never

import orjson

from stepwell_protocol import limits
from stepwell_protocol.wire import (
    Call,
    ErrorData,
    Log,
    Progress,
    RunError,
    StepDone,
    StepFailed,
    encode_error,
    encode_workflow_call,
)

from ..definition import WorkflowSpec
from ..failpoints import failpoint
from ..journal.queue import Exchange, NewEntry, NewWait
from ..machine import COMPENSATING, EXECUTING, RunEvent, decide
from ..model import Activity, App, Entry, Step
from ..plan import (
    Advance,
    CallStep,
    Cancel,
    Complete,
    Completed,
    Fail,
    Failed,
    FailStep,
    HttpStep,
    PlanState,
    Result,
    Skipped,
    SkipStep,
    StartSleep,
    StartWait,
    Stop,
    advance,
)
from ..retry import RetryAfter, infrastructure_backoff
from ..retry import decide as decide_retry
from ..transport.caller import Deadline
from ..transport.outcomes import Answered, AttemptUsed, Illegal, Unreached
from ..transport.requests import HttpRequest, Replied, send_request
from .answers import park, reason_of
from .leased import LeasedRun
from .tools import Tools

_TIMED_OUT = "StepTimedOut"

_log = logging.getLogger("stepwell.workflow")

_Making = CallStep | HttpStep
_Settled = Replied | AttemptUsed | Unreached


class WorkflowRun:
    """One lease of one workflow run. `drive` returns when the lease is over; cancelling it closes the calls in flight."""

    def __init__(self, run: LeasedRun, *, app: App, spec: WorkflowSpec, tools: Tools) -> None:
        self._run = run
        self._app = app
        self._spec = spec
        self._tools = tools
        self._input: Any = orjson.loads(run.lease.input)
        self._in_flight: dict[asyncio.Task[tuple[_Settled, float]], _Making] = {}
        self._unreached: dict[str, Unreached] = {}
        self._compensating = False
        self._stopping: Stop | None = None
        self._noted = False
        self._numbers = run.seq
        self._read(run.lease.entries)

    async def drive(self) -> None:
        try:
            if (complaints := self._complaints()) is not None:
                exchange = self._exchange()
                self._end(exchange, Fail(error={"name": "InvalidInput", "message": complaints, "retryable": False}))
                await self._commit(exchange)
                return
            while await self._round():
                pass
        finally:
            for task in self._in_flight:
                task.cancel()
            await asyncio.gather(*self._in_flight, return_exceptions=True)

    # One round: ask, act, commit

    async def _round(self) -> bool:
        """False when the lease is over."""
        exchange = self._exchange()
        stop = self._stop()
        if stop is not None and self._run.pending:
            # Sleeps, waits and backoffs of the way forward are withdrawn; calls in flight are let finish.
            exchange.withdraw = True
            self._run.pending.clear()
        now = self._run.clock.at(self._tools.clock.monotonic())
        following = advance(self._spec, self._state(stop), now=now)
        self._note_compensation(exchange, following)
        leaving = self._leaving()
        for action in following.actions:
            if not (leaving and isinstance(action, CallStep | HttpStep)):
                self._begin(exchange, action)
        if exchange.entries or exchange.withdraw:
            return await self._commit(exchange)
        if self._in_flight:
            await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            return await self._commit(self._gather())
        return await self._commit(self._give_back() if self._unreached or leaving else self._parked())

    def _begin(self, exchange: Exchange, action: object) -> None:
        match action:
            case CallStep():
                if action.step not in self._unreached:
                    self._in_flight[asyncio.create_task(self._call(action), name=f"{self._run.id}/{action.step}")] = (
                        action
                    )
            case HttpStep():
                if action.step not in self._unreached:
                    self._in_flight[
                        asyncio.create_task(self._request(action), name=f"{self._run.id}/{action.step}")
                    ] = action
            case StartSleep(step=step, until=until):
                self._open(exchange, NewWait(step=step, type="sleep", due=until))
            case StartWait(step=step, event=event, match=match, until=until):
                matched = None if match is None else orjson.dumps(match)
                self._open(exchange, NewWait(step=step, type="wait", due=until, event_name=event, match=matched))
            case SkipStep(step=step):
                entry = self._entry(exchange, Entry.STEP_SKIPPED, step=step)
                self._results[step] = Skipped(ordinal=entry.ordinal)
            case FailStep(step=step, error=error):
                self._fail_step(exchange, step, orjson.dumps(error), type="call")
            case Complete() | Fail() | Cancel():
                self._end(exchange, action)

    def _gather(self) -> Exchange:
        """The exchange for all calls that have ended."""
        exchange = self._exchange()
        for task in [task for task in self._in_flight if task.done()]:
            action = self._in_flight.pop(task)
            settled, called = task.result()
            self._settle(exchange, action, settled, called)
        return exchange

    def _settle(self, exchange: Exchange, action: _Making, settled: _Settled, called: float) -> None:
        run, step = self._run, action.step
        type_ = "compensate" if action.undoes else "call" if isinstance(action, CallStep) else "http"
        clock = self._tools.clock.monotonic()
        times = {"called_at": run.clock.at(called), "app_ms": (clock - called) * 1000}
        match settled:
            case Unreached():
                _log.warning("run %s, step %s: %s", run.id, step, settled.message)
                self._unreached[step] = settled
            case Replied(data=data):
                entry = self._entry(
                    exchange, Entry.STEP_COMPLETED, step=step, type=type_, attempt=action.attempt, data=data, **times
                )
                run.settle(step, type=type_, data=data)
                self._results[step] = Completed(output=orjson.loads(data), ordinal=entry.ordinal)
                if over := limits.over_limit("the run's journal", size=run.size, limit=limits.JOURNAL_BYTES):
                    self._end(exchange, Fail(error={"name": "JournalTooLarge", "message": over, "retryable": False}))
            case AttemptUsed(error=error):
                verdict = decide_retry(
                    action.retries,
                    attempts_used=run.fail_attempt(step),
                    retryable=error.retryable,
                    retry_after=None if error.retry_after is None else timedelta(seconds=error.retry_after),
                    jitter=self._tools.rng.random(),
                )
                if isinstance(verdict, RetryAfter) and self._stop_allows(action):
                    due = run.clock.at(clock) + verdict.delay
                    entry = self._entry(
                        exchange,
                        Entry.ATTEMPT_FAILED,
                        step=step,
                        type=type_,
                        attempt=action.attempt,
                        error=encode_error(error),
                        due=due,
                        **times,
                    )
                    self._open(exchange, NewWait(step=step, type="retry", due=due))
                else:
                    entry = self._fail_step(
                        exchange, step, encode_error(error), type=type_, attempt=action.attempt, **times
                    )
                if error.name == _TIMED_OUT:
                    self._uncertain[step] = entry.ordinal

    def _stop_allows(self, action: _Making) -> bool:
        """Forward steps are not tried again once the run is to stop; compensations are."""
        return action.undoes is not None or not self._run.cancel_requested

    def _fail_step(self, exchange: Exchange, step: str, error: bytes, **columns: Any) -> NewEntry:
        entry = self._entry(exchange, Entry.STEP_FAILED, step=step, error=error, **columns)
        self._run.settle(step, type=columns["type"], error=error)
        self._results[step] = Failed(error=orjson.loads(error), ordinal=entry.ordinal)
        return entry

    def _open(self, exchange: Exchange, wait: NewWait) -> None:
        exchange.waits.append(wait)
        self._run.pending[wait.step] = wait.type
        if wait.type != "retry":
            self._entry(exchange, Entry.WAIT_STARTED, step=wait.step, type=wait.type, due=wait.due, data=wait.match)

    def _end(self, exchange: Exchange, end: Complete | Fail | Cancel) -> None:
        state = COMPENSATING if self._compensating else EXECUTING
        exchange.outcome = "end"
        match end:
            case Complete(output=output):
                after = decide(state, RunEvent.COMPLETED, run=self._run.id)
                exchange.output = orjson.dumps(output)
                self._entry(exchange, Entry.RUN_COMPLETED)
            case Fail(error=error):
                after = decide(state, RunEvent.FAILED, run=self._run.id)
                exchange.error = orjson.dumps(error)
                exchange.reason = reason_of(ErrorData(name=str(error.get("name", "Error")), message=""))
                self._entry(exchange, Entry.RUN_FAILED, error=exchange.error)
            case Cancel(error=error):
                after = decide(state, RunEvent.CANCELLED, run=self._run.id)
                exchange.error = None if error is None else orjson.dumps(error)
                exchange.reason = "Cancelled"
                self._entry(exchange, Entry.RUN_CANCELLED, error=exchange.error)
            case _:
                assert_never(end)
        exchange.status = after.status.value

    def _note_compensation(self, exchange: Exchange, following: Advance) -> None:
        if not following.compensating or self._compensating:
            return
        self._compensating = True
        decide(EXECUTING, RunEvent.COMPENSATION_BEGAN, run=self._run.id)
        exchange.activity = Activity.COMPENSATING
        if not self._noted:
            self._noted = True
            self._entry(exchange, Entry.COMPENSATION_STARTED)

    # Leaving

    def _leaving(self) -> bool:
        return self._tools.draining() or self._run.lost or not self._run.may_call(self._tools.clock.monotonic())

    def _parked(self) -> Exchange:
        exchange = self._exchange()
        park(exchange, self._run.pending)
        return exchange

    def _give_back(self) -> Exchange:
        """Calls that reached nobody are due again after a backoff that uses no attempt."""
        exchange = self._exchange()
        exchange.outcome, exchange.activity = "release", Activity.QUEUED
        if self._unreached:
            refusals = self._run.lease.refusals + 1
            after = [each.retry_after for each in self._unreached.values() if each.retry_after is not None]
            exchange.delay = infrastructure_backoff(
                failures=refusals, jitter=self._tools.rng.random(), retry_after=max(after, default=None)
            )
            if any(each.may_have_started for each in self._unreached.values()):
                exchange.delay = max(exchange.delay, timedelta(seconds=5) + self._run.margin)
            exchange.refusals = min(refusals, 1000)
            exchange.reason = next(iter(self._unreached.values())).reason
        return exchange

    async def _commit(self, exchange: Exchange) -> bool:
        """Commit; False when the lease is over."""
        run, tools = self._run, self._tools
        exchange.steps = len(self._results)
        held = await tools.completer.submit(exchange)
        if held is None:
            run.lost = True
            _log.info("run %s: the lease was lost, its answer was not taken", run.id)
            return False
        for wait in exchange.waits:
            if wait.due is not None:
                tools.timer_set(wait.due)
        if held.woken and exchange.outcome in ("go", "park"):
            found = (await tools.queue.collect([(run.run_id, run.token)])).get(run.run_id)
            if found is None:
                run.lost = True
                return False
            run.cancel_requested = found.cancel_requested
            run.rebuild(found.entries, found.waits)
            self._read(found.entries)
            return True
        return exchange.outcome == "go"

    # Calls

    async def _call(self, action: CallStep) -> tuple[_Settled, float]:
        run, tools = self._run, self._tools
        timeout = action.timeout or self._app.step_timeout
        called = tools.clock.monotonic()
        seq = self._number()
        if self._app.protocol < 2:
            return Unreached(
                "the app has not said that it speaks version 2, which workflows need: sync it or wait for discovery",
                may_have_started=False,
            ), called
        start_by, end_by = run.window(called, timeout=timeout)
        body = encode_workflow_call(
            run.id,
            workflow=self._spec.name,
            step_id=action.step,
            handler=action.handler,
            attempt=action.attempt,
            input=orjson.dumps(action.input),
            results=self._outputs,
            call=Call(
                token=run.token,
                seq=seq,
                start_by=start_by,
                end_by=end_by,
                budget_ms=0,
            ),
        )
        failpoint("before_call")
        outcome = await tools.caller.call(
            self._app,
            body,
            token=run.token,
            seq=lambda: seq,
            deadline=Deadline(timeout.total_seconds()),
            send_by=run.send_by(called),
            database_time=lambda: run.clock.unix(tools.clock.monotonic()),
            company=tools.company(),
            pace=(run.lease.definition_id, run.lease.revision, action.step),
        )
        failpoint("after_answer")
        match outcome:
            case Answered(ops=ops):
                return _reply(action.step, ops), called
            case Illegal(error=error):
                return AttemptUsed(error), called
            case AttemptUsed() | Unreached():
                return outcome, called
            case _:
                assert_never(outcome)

    async def _request(self, action: HttpStep) -> tuple[_Settled, float]:
        called = self._tools.clock.monotonic()
        request = HttpRequest(
            method=action.method,
            url=action.url or _address(action, namespace=self._app.namespace),
            headers=action.headers,
            body=None if action.body is None else orjson.dumps(action.body),
            expect=action.expect,
            timeout=(action.timeout or self._app.step_timeout).total_seconds(),
            idempotency_key=f"{self._run.id}/{action.step}",
        )
        return await send_request(self._tools.caller.client, request), called

    # The journal as the plan sees it

    def _read(self, entries: Sequence[Step]) -> None:
        self._results: dict[str, Result] = {}
        self._outputs: dict[str, bytes] = {}
        self._uncertain: dict[str, int] = {}
        self._noted = False
        for entry in entries:
            step = entry.step or ""
            match entry.entry:
                case Entry.STEP_COMPLETED | Entry.WAIT_COMPLETED:
                    data = entry.data or b"null"
                    self._results[step] = Completed(output=orjson.loads(data), ordinal=entry.ordinal)
                    self._outputs[step] = data
                case Entry.STEP_SKIPPED:
                    self._results[step] = Skipped(ordinal=entry.ordinal)
                case Entry.STEP_FAILED | Entry.ATTEMPT_FAILED:
                    error = orjson.loads(entry.error or b"{}")
                    if error.get("name") == _TIMED_OUT:
                        self._uncertain[step] = entry.ordinal
                    if entry.entry is Entry.STEP_FAILED:
                        self._results[step] = Failed(error=error, ordinal=entry.ordinal)
                case Entry.COMPENSATION_STARTED:
                    self._noted = True
                case _:
                    pass

    def _state(self, stop: Stop | None) -> PlanState:
        run = self._run
        in_flight = {action.step for action in self._in_flight.values()}
        return PlanState(
            input=self._input,
            event={"id": run.lease.event_ref, "name": run.lease.event_name, "data": self._input},
            run={"id": run.id, "workflow": self._spec.name},
            results=self._results,
            pending=frozenset({*run.pending, *in_flight}),
            attempts=run.attempts,
            uncertain=self._uncertain,
            stop=stop,
        )

    def _stop(self) -> Stop | None:
        """Why the run is to stop, if it is. Decided once: a cancelled run's undoing may take it past its deadline."""
        if self._stopping is None and self._run.cancel_requested:
            self._stopping = self._reason_to_stop()
        return self._stopping

    def _reason_to_stop(self) -> Stop:
        deadline = self._run.lease.deadline
        if deadline is not None and deadline <= self._run.clock.at(self._tools.clock.monotonic()):
            return Stop(
                error={
                    "name": "RunTimedOut",
                    "message": "the run took longer than its timeouts.run",
                    "retryable": False,
                }
            )
        return Stop()

    def _exchange(self) -> Exchange:
        return self._run.exchange(seq=self._number())

    def _entry(self, exchange: Exchange, entry: Entry, **columns: Any) -> NewEntry:
        made = NewEntry(ordinal=self._run.ordinal(), entry=entry, **columns)
        if entry is Entry.STEP_COMPLETED and made.step is not None and made.data is not None:
            self._outputs[made.step] = made.data
        exchange.entries.append(made)
        return made

    def _number(self) -> int:
        """Calls and commits of one lease are numbered together."""
        self._numbers += 1
        return self._numbers

    def _complaints(self) -> str | None:
        if self._spec.input_schema is None or self._results:
            return None
        return "; ".join(self._spec.input_schema.complaints(self._input)) or None


def _reply(step: str, ops: Sequence[object]) -> _Settled:
    """What a handler answered for its step."""
    for op in ops:
        match op:
            case StepDone(id=id, data=data) if id == step:
                return Replied(data)
            case StepFailed(id=id, error=error) if id == step:
                return AttemptUsed(error)
            case RunError(error=error):
                return AttemptUsed(error)
            case Progress() | Log():
                continue
            case _:
                break
    message = f"the answer to step {step!r} must be one `step`, `fail` or `error` for it"
    return AttemptUsed(ErrorData(name="IllegalAnswer", message=message, retryable=False))


def _address(action: HttpStep, *, namespace: str) -> str:
    assert action.service is not None
    host = action.service.name if not namespace else f"{action.service.name}.{namespace}.svc"
    return f"http://{host}:{action.service.port}{action.service.path}"
