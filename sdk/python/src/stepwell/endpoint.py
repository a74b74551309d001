"""What an app does with a request from the engine, whatever framework carried it: check it, run the handler, sign the
answer.

Refused: what is not signed with the app's key, what was signed too long ago, what arrives after its time to start, and
an exchange that was seen before. Nothing a stranger sends raises; a handler's errors become operations; every answer to
the engine is signed in the version in which it asked.
"""

import asyncio
import contextvars
import functools
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pydantic_core

from stepwell.async_turn import AsyncTurn
from stepwell.current import CurrentStep, log, running
from stepwell.errors import Mistake
from stepwell.failures import as_data
from stepwell.handlers import Handler
from stepwell.step import Step
from stepwell.stream import Stream
from stepwell.sync_step import SyncStep
from stepwell.thread_turn import ThreadTurn
from stepwell.turn import CheckpointLost, Surroundings
from stepwell.watch import HungUp, Watch, Watcher
from stepwell_protocol import headers
from stepwell_protocol.answer import encode_answer_v1, encode_answer_v2
from stepwell_protocol.sharing import PARTS
from stepwell_protocol.signing import SignatureRefused, sign_v1, sign_v2, verify_v1, verify_v2
from stepwell_protocol.wire import (
    Answer,
    Call,
    ErrorData,
    InvalidMessage,
    Invoke,
    Operation,
    RunError,
    StepDone,
    StepFailed,
    read_invoke,
)

_MOST_SEEN: Final = 100_000
_NOBODY_LISTENS: Final = 499


class Request(NamedTuple):
    """A request as the endpoint needs it. Header names are lower case. `gone` returns when the engine has hung up.
    `streams`: the framework can send an answer part by part.
    """

    method: str
    headers: Mapping[bytes, bytes]
    body: bytes
    gone: Callable[[], Awaitable[None]] | None = None
    streams: bool = False

    def header(self, name: str) -> str | None:
        """A header's value, or None."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")


class Reply(NamedTuple):
    """What to answer: the body, or the stream's parts one after the other."""

    status: int
    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    stream: Stream | None = None


class Endpoint:
    """The engine's side of an app."""

    def __init__(
        self,
        *,
        functions: Mapping[str, Handler],
        steps: Mapping[str, Handler],
        keys: Callable[[], tuple[str, ...]],
        describe: Callable[[], bytes],
        around: Surroundings,
    ) -> None:
        """Make an endpoint.

        Args:
            functions: handlers of functions, by id.
            steps: handlers of workflows' steps, by name.
            keys: the signing keys that are accepted at the moment; the first one signs.
            describe: what the app serves, as a JSON object; the answer adds this machine's time.
            around: what calls are run with.
        """
        self._functions = functions
        self._steps = steps
        self._keys = keys
        self._describe = describe
        self._around = around
        self._now = around.now
        self._watcher: Watcher | None = None
        self._seen: OrderedDict[tuple[str, int, int], int] = OrderedDict()

    async def answer(self, request: Request) -> Reply:
        """The answer to a request.

        Raises:
            asyncio.CancelledError: the request was cancelled.
        """
        keys = self._keys()
        if not keys:
            return _refusal(503, "this app has no signing key: set STEPWELL_SIGNING_KEY")
        timed = request.header(headers.SIGNATURE)
        refusal = self._unsigned(request, timed, keys)
        if refusal is not None:
            return _refusal(401, refusal)
        match request.method:
            case "POST":
                try:
                    return await self._called(request, keys, timed=timed is not None)
                except HungUp:
                    return Reply(_NOBODY_LISTENS, b"")
            case "GET" | "HEAD":
                return self._described(keys, timed=timed is not None)
            case _:
                return _refusal(405, "this address answers the engine's POST and GET")

    def _unsigned(self, request: Request, timed: str | None, keys: tuple[str, ...]) -> str | None:
        if timed is not None:
            try:
                verify_v2(request.body, timed, keys, now=self._now())
            except SignatureRefused as refusal:
                return str(refusal)
            return None
        if verify_v1(request.body, request.header(headers.SIGNATURE_V1), keys):
            return None
        return "the signature is missing or does not match: app and engine must hold the same signing key"

    def _described(self, keys: tuple[str, ...], *, timed: bool) -> Reply:
        try:
            said = self._describe()
            return self._signed(200, b'%b,"time":%d}' % (said[:-1], self._now() * 1000), keys, timed=timed)
        except Mistake as mistake:
            log.error("this app cannot say what it serves: %s", mistake)
            return self._signed(500, _problem(str(mistake)), keys, timed=timed)

    async def _called(self, request: Request, keys: tuple[str, ...], *, timed: bool) -> Reply:
        try:
            called = pydantic_core.from_json(request.body, allow_inf_nan=False)
            if isinstance(called, list):
                return self._stream(called, request, keys, timed=timed)
            invoke = read_invoke(called)
        except InvalidMessage as error:
            return self._signed(400, _problem(str(error)), keys, timed=timed)
        except ValueError as error:
            return self._signed(400, _problem(f"the body is not JSON: {error}"), keys, timed=timed)
        if invoke.call is None:
            ops, _ = await self._perform(invoke, request)
            return self._signed(200, _only(ops), keys, timed=timed)
        if not timed:
            return _refusal(401, f"a version-2 call must carry {headers.SIGNATURE}")
        status, body = await self._answer(invoke, invoke.call, request)
        return self._signed(status, body, keys, timed=True)

    def _stream(self, calls: list[Any], request: Request, keys: tuple[str, ...], *, timed: bool) -> Reply:
        """The answer to a request with several calls.

        Raises:
            InvalidMessage: one of them is wrong, or they cannot be answered as they are ready; none was started.
        """
        if not (timed and request.streams):
            raise InvalidMessage("call", "must be an object: several calls in one request are not taken here")
        invokes = [read_invoke(call) for call in calls]
        if not invokes or any(invoke.call is None for invoke in invokes):
            raise InvalidMessage("call", "calls that share a request must be of version 2")

        async def answer(invoke: Invoke) -> tuple[int, bytes]:
            assert invoke.call is not None
            return await self._answer(invoke, invoke.call, watched)

        stream = Stream(invokes, answer, gone=request.gone, key=keys[0], now=self._now)
        watched = request if request.gone is None else request._replace(gone=stream.hung_up)
        return Reply(200, b"", [(headers.CONTENT_TYPE, PARTS)], stream)

    async def _answer(self, invoke: Invoke, call: Call, request: Request) -> tuple[int, bytes]:
        """The status and body with which to answer a version-2 call. Raises HungUp."""
        if (refused := self._out_of_place(invoke)) is not None:
            return 409, b'{"refused":"%b"}' % refused
        try:
            ops, seq = await self._perform(invoke, request)
        except CheckpointLost:
            return 503, _problem("the engine could not be reached to commit a step")
        return 200, encode_answer_v2(Answer(call.token, seq, tuple(ops), int(self._now() * 1000)))

    def _out_of_place(self, invoke: Invoke) -> bytes | None:
        """Why a call must not start, after noting that it came."""
        call = invoke.call
        assert call is not None
        now = int(self._now() * 1000)
        if now > call.start_by:
            return b"late"
        seen = self._seen
        key = (invoke.run_id, call.token, call.seq)
        if key in seen:
            return b"repeated"
        seen[key] = call.start_by
        while seen and (len(seen) > _MOST_SEEN or next(iter(seen.values())) < now):
            seen.popitem(last=False)
        return None

    async def _perform(self, invoke: Invoke, request: Request) -> tuple[list[Operation], int]:
        """Run what is called; the operations and the number of the exchange they belong to."""
        if invoke.step is not None:
            return await self._one_step(invoke, request), invoke.call.seq if invoke.call else 0
        handler = self._functions.get(invoke.function_id or "")
        if handler is None:
            return [RunError(_unknown("function", invoke.function_id, self._functions))], _seq(invoke)
        kind = AsyncTurn if handler.is_async else ThreadTurn
        turn = kind(invoke, self._around)
        try:
            given = (handler.accept(invoke.input),) if handler.takes_input else ()
        except Mistake as mistake:
            return [RunError(as_data(mistake))], _seq(invoke)
        with Watch(self._watching(), turn, request):
            if isinstance(turn, ThreadTurn):
                step = SyncStep(turn)
                ops = await turn.run(lambda: handler.function(step, *given), encode=handler.encode)
            else:
                ops = await turn.run(handler.function(Step(turn), *given), encode=handler.encode)
        if ops and isinstance(ops[-1], RunError):
            log.error("run %s of %s: %s: %s", invoke.run_id, handler.name, ops[-1].error.name, ops[-1].error.message)
        return ops, turn.seq

    async def _one_step(self, invoke: Invoke, request: Request) -> list[Operation]:
        """Run one step of a workflow."""
        step, call = invoke.step, invoke.call
        assert step is not None
        handler = self._steps.get(step.handler)
        if handler is None:
            return [StepFailed(step.id, _unknown("step handler", step.handler, self._steps))]
        kind = AsyncTurn if handler.is_async else ThreadTurn
        turn = kind(invoke, self._around)
        current = CurrentStep(invoke.run_id, step.id, step.attempt, call.token if call else None)
        began = time.perf_counter()
        mark = running.set(current)
        try:
            given = (handler.accept(step.input),) if handler.takes_input else ()
            with Watch(self._watching(), turn, request):
                value = await self._call(handler, turn, given)
            data = handler.encode(value)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not turn.timed_out or task is None:
                raise
            task.uncancel()
            late = ErrorData("StepTimedOut", f"step {step.id!r} had not ended when its time was up (timeout)")
            return [StepFailed(step.id, late, _ms_since(began))]
        except HungUp:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its failure, reported as data
            failure = turn.mistake or error
            log.warning("run %s: step %r failed: %s", invoke.run_id, step.id, failure, exc_info=error)
            return [StepFailed(step.id, as_data(failure), _ms_since(began))]
        finally:
            running.reset(mark)
        if turn.mistake is not None:
            return [StepFailed(step.id, as_data(turn.mistake), _ms_since(began))]
        return [StepDone(step.id, data, _ms_since(began))]

    def _watching(self) -> Watcher:
        loop, watcher = asyncio.get_running_loop(), self._watcher
        if watcher is None or watcher.loop is not loop:
            watcher = self._watcher = Watcher(loop)
        return watcher

    async def _call(self, handler: Handler, turn: AsyncTurn | ThreadTurn, given: tuple[Any, ...]) -> Any:
        if isinstance(turn, AsyncTurn):
            return await handler.function(Step(turn), *given)
        work = functools.partial(contextvars.copy_context().run, handler.function, SyncStep(turn), *given)
        return await asyncio.get_running_loop().run_in_executor(self._around.executor(), work)

    def _signed(self, status: int, body: bytes, keys: tuple[str, ...], *, timed: bool) -> Reply:
        if timed:
            signature = (headers.SIGNATURE, sign_v2(body, keys[0], now=self._now()))
        else:
            signature = (headers.SIGNATURE_V1, sign_v1(body, keys[0]))
        return Reply(status, body, [(headers.CONTENT_TYPE, headers.JSON), signature])


def _only(ops: list[Operation]) -> bytes:
    """The one operation of a version-1 answer."""
    if not ops:
        ops = [RunError(ErrorData("Stopped", "the call ended before the handler reached its next operation"))]
    return encode_answer_v1(ops[0])


def _seq(invoke: Invoke) -> int:
    return invoke.call.seq if invoke.call else 0


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _unknown(what: str, name: str | None, known: Mapping[str, Handler]) -> ErrorData:
    listed = ", ".join(sorted(known)) or "none"
    return ErrorData("NotServed", f"this app has no {what} {name!r}; it has: {listed}", retryable=True)


def _problem(message: str) -> bytes:
    return pydantic_core.to_json({"error": message})


def _refusal(status: int, message: str) -> Reply:
    return Reply(status, _problem(message), [(headers.CONTENT_TYPE, headers.JSON)])
