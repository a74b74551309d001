"""A leased function run: call the app, turn its answer into an exchange, commit, go on.

Sticky: after a commit the same worker goes on under the same lease, without another claim and without reading the journal it
already holds. It gives the run back when the worker drains, or after a second while others wait for its place.

While a call is open its handler may report finished steps (a checkpoint): the same turn, the same commit, and the answer is
`go` or `stop`. Exchanges of a run are numbered by `seq`; only the next one is taken, and the last one's reply is kept, so a
repeated report is answered as it was, also while the first is still being committed.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum

import orjson

from stepwell_protocol.wire import (
    Call,
    ErrorData,
    Operation,
    SendEvent,
    StepDone,
    Terms,
    encode_event,
    encode_go,
    encode_invoke,
    encode_stop,
)

from ..definition import FunctionSpec
from ..errors import LeaseLost, Unavailable
from ..failpoints import failpoint
from ..journal.queue import Exchange
from ..model import Activity, App, NewEvent
from ..retry import infrastructure_backoff
from ..transport.caller import Deadline
from ..transport.outcomes import Answered, AttemptUsed, Illegal, Unreached
from .answers import Circumstances, EventsSent, IllegalAnswer, failed, park, refuse_result, refused, turn
from .leased import WHOLE_RUN, LeasedRun
from .tools import STICKY, Tools

#: How long one call may go on reporting steps before the SDK must hand the run back.
_BUDGET = timedelta(seconds=10)

_log = logging.getLogger("stepwell.function")


class _Next(Enum):
    CALL = "the lease goes on"
    LEAVE = "the run parked, ended, was given back, or the lease was lost"


class FunctionRun:
    """One lease of one function run. `drive` returns when the lease is over; cancelling it closes the call."""

    def __init__(self, run: LeasedRun, *, app: App, spec: FunctionSpec, tools: Tools) -> None:
        self.run = run
        self._app = app
        self._spec = spec
        self._tools = tools
        self._event = encode_event(run.lease.event_ref, name=run.lease.event_name, data=run.lease.input)
        self._timeout = spec.timeouts.step or app.step_timeout
        self._began = tools.clock.monotonic()
        self._called = self._began
        self._deadline: Deadline | None = None
        self._committing = False
        self._report: tuple[int, asyncio.Task[bytes]] | None = None
        self._stopped: _Next | None = None

    async def drive(self) -> None:
        if not self.run.results and (complaint := self._input_complaint()) is not None:
            self._called = self._tools.clock.monotonic()
            await self._commit(refused(self.run, complaint, self._circumstances()))
            return
        following = _Next.CALL
        while following is _Next.CALL and self.run.may_call(self._tools.clock.monotonic()):
            following = await self._exchange()

    async def checkpoint(self, seq: int, ops: Sequence[Operation]) -> bytes:
        """What to answer to a report of the open call's handler. Raises Unavailable when nothing of it was taken yet."""
        if self._report is not None and self._report[0] == seq:
            return await asyncio.shield(self._report[1])
        if seq != self.run.seq or self._committing or self._deadline is None or self._stopped is not None:
            return encode_stop("this call is over: end it without starting anything more")
        report = asyncio.create_task(self._take_report(ops, self._deadline), name=f"{self.run.id}/{seq}")
        self._report = (seq, report)
        try:
            return await asyncio.shield(report)
        except Unavailable:
            self._report = None
            raise

    async def _take_report(self, ops: Sequence[Operation], deadline: Deadline) -> bytes:
        deadline.extend()
        known = len(self.run.fragments)
        following = await self._take(ops)
        if following is not _Next.CALL:
            self._stopped = following
            return encode_stop("the run waits, has ended, or is somebody else's now")
        self._called = self._tools.clock.monotonic()
        deadline.extend()
        start_by, end_by = self.run.window(self._called, timeout=self._timeout)
        return encode_go(
            start_by=start_by,
            end_by=end_by,
            entries=self.run.added_since(known, but={op.id for op in ops if isinstance(op, StepDone)}),
        )

    async def _exchange(self) -> _Next:
        """One call and the commit of its answer."""
        tools, run = self._tools, self.run
        if WHOLE_RUN in run.pending:
            # Something else woke the run; its handler is still backing off.
            return await self._commit(self._parked())
        self._called = tools.clock.monotonic()
        checkpoint_url = tools.checkpoint_url if self._app.checkpointing else None
        body = self._body(checkpoint_url)
        self._deadline = Deadline(self._timeout.total_seconds())
        failpoint("before_call")
        # A checkpoint moves the number on, so what the final answer must carry is known only when it comes.
        outcome = await tools.caller.call(
            self._app,
            body,
            token=run.token,
            seq=lambda: run.seq,
            deadline=self._deadline,
            send_by=run.send_by(self._called),
            database_time=lambda: run.clock.unix(tools.clock.monotonic()),
            company=tools.company(),
            # A checkpoint would move the deadline of all the request's calls.
            pace=None if checkpoint_url else (run.lease.definition_id, run.lease.revision, len(run.results)),
        )
        failpoint("after_answer")
        self._deadline = None
        if self._stopped is not None:
            stopped, self._stopped = self._stopped, None
            return stopped
        match outcome:
            case Answered(ops=ops):
                return await self._take(ops)
            case AttemptUsed(error=error):
                return await self._commit(failed(run, error, self._circumstances()))
            case Illegal(error=error):
                return await self._commit(refused(run, error, self._circumstances()))
            case Unreached():
                return await self._commit(self._give_back(outcome))

    def _body(self, checkpoint_url: str | None) -> bytes:
        run = self.run
        if self._app.protocol < 2:
            return encode_invoke(run.id, function_id=run.lease.name, event=self._event, entries=run.fragments)
        start_by, end_by = run.window(self._called, timeout=self._timeout)
        terms = Terms(
            call=Call(
                token=run.token,
                seq=run.seq,
                start_by=start_by,
                end_by=end_by,
                budget_ms=int(_BUDGET.total_seconds() * 1000) if checkpoint_url else 0,
            ),
            revision=run.lease.revision,
            attempts=run.attempts,
            pending=run.pending,
            checkpoint_url=checkpoint_url,
        )
        return encode_invoke(run.id, function_id=run.lease.name, event=self._event, entries=run.fragments, terms=terms)

    async def _take(self, ops: Sequence[Operation]) -> _Next:
        """Turn what the app said into an exchange, and commit that."""
        self._committing = True
        try:
            settled = [await self._send(op) if isinstance(op, SendEvent) else op for op in ops]
            exchange = turn(self.run, settled, self._circumstances())
        except IllegalAnswer as error:
            exchange = refused(self.run, _illegal(error), self._circumstances())
        except LeaseLost:
            return self._lost()
        finally:
            self._committing = False
        return await self._commit(exchange)

    async def _send(self, op: SendEvent) -> EventsSent:
        """Accept the events a step sends, while the lease is held. Their ids come from the step, so a repetition sends nothing
        twice."""
        run = self.run
        refuse_result(run, op.id)
        events = [
            NewEvent(
                app_id=self._app.id, name=event.name, data=event.data, deduplicate=event.id or f"{run.id}/{op.id}/{at}"
            )
            for at, event in enumerate(op.events)
        ]
        accepted = await self._tools.intake.accept_events(events, lease=(run.run_id, run.token))
        self._tools.work_made(awaited=any(each.awaited for each in accepted))
        return EventsSent(op.id, orjson.dumps([str(each.event_id) for each in accepted]))

    def _lost(self) -> _Next:
        self.run.lost = True
        _log.info("run %s: the lease was lost, its answer was not taken", self.run.id)
        return _Next.LEAVE

    async def _commit(self, exchange: Exchange) -> _Next:
        tools, run = self._tools, self.run
        if exchange.outcome == "go" and self._should_leave():
            exchange.outcome, exchange.activity = "release", Activity.QUEUED
        self._committing = True
        try:
            held = await tools.completer.submit(exchange)
        finally:
            self._committing = False
        run.seq += 1
        if held is None:
            return self._lost()
        if exchange.outcome == "park" and not held.woken:
            for wait in exchange.waits:
                if wait.due is not None:
                    tools.timer_set(wait.due)
        if held.woken and exchange.outcome in ("go", "park"):
            return await self._collect()
        return _Next.CALL if exchange.outcome == "go" else _Next.LEAVE

    async def _collect(self) -> _Next:
        """Something was resolved while the run was leased: journal it and go on with it."""
        run = self.run
        found = (await self._tools.queue.collect([(run.run_id, run.token)])).get(run.run_id)
        if found is None:
            run.lost = True
            return _Next.LEAVE
        run.rebuild(found.entries, found.waits)
        return _Next.CALL

    def _give_back(self, outcome: Unreached) -> Exchange:
        """The call reached nobody: the run is due again after a backoff that uses no attempt, and not before what was sent
        has become too late to start."""
        run, tools = self.run, self._tools
        refusals = run.lease.refusals + 1
        delay = infrastructure_backoff(failures=refusals, jitter=tools.rng.random(), retry_after=outcome.retry_after)
        if outcome.may_have_started and self._app.protocol >= 2:
            # The margin covers what this worker, the app and Postgres may differ in when they read the time.
            now = tools.clock.monotonic()
            delay = max(delay, run.start_by(self._called) - run.clock.at(now) + run.margin)
        _log.warning("run %s: %s; trying again in %.1f s", run.id, outcome.message, delay.total_seconds())
        exchange = run.exchange("release")
        exchange.activity, exchange.reason = Activity.QUEUED, outcome.reason
        exchange.delay, exchange.refusals = delay, min(refusals, 1000)
        return exchange

    def _parked(self) -> Exchange:
        exchange = self.run.exchange()
        park(exchange, self.run.pending)
        return exchange

    def _should_leave(self) -> bool:
        if self._tools.draining():
            return True
        return self._tools.clock.monotonic() - self._began > STICKY.total_seconds() and self._tools.crowded()

    def _circumstances(self) -> Circumstances:
        now = self._tools.clock.monotonic()
        return Circumstances(
            now=self.run.clock.at(now),
            called_at=self.run.clock.at(self._called),
            app_ms=(now - self._called) * 1000,
            jitter=self._tools.rng.random(),
            policy=self._spec.retries,
            raises_failures=self._app.protocol >= 2,
        )

    def _input_complaint(self) -> ErrorData | None:
        if self._spec.input_schema is None:
            return None
        complaints = self._spec.input_schema.complaints(orjson.loads(self.run.lease.input))
        return ErrorData(name="InvalidInput", message="; ".join(complaints), retryable=False) if complaints else None


def _illegal(error: IllegalAnswer) -> ErrorData:
    return ErrorData(name="IllegalAnswer", message=str(error), retryable=False)
