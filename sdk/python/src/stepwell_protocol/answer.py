"""The app's answer to a call: operations as bytes, and bytes as operations.

Version 1 answers with one operation, version 2 with `{token, seq, ops, time}`. Reading is strict (see `strict_json`)
and gives the payloads as the very bytes that were received; a wrong answer raises `StrictJsonError` or `InvalidMessage`
(both ValueError), each naming the place. Reading never raises anything else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, assert_never

from stepwell_protocol import limits
from stepwell_protocol.messages import (
    NULL,
    InvalidMessage,
    TooLarge,
    an_object,
    cut_text,
    instant,
    number,
    optional_instant,
    optional_number,
    optional_text,
    quoted,
    shown,
    text,
    truth,
    whole,
)
from stepwell_protocol.operations import (
    Continue,
    Done,
    ErrorData,
    InvokeRun,
    Log,
    Operation,
    Progress,
    RunError,
    SendEvent,
    SentEvent,
    Signal,
    SleepUntil,
    StepDone,
    StepFailed,
    WaitFor,
)
from stepwell_protocol.strict_json import Codec, load_sliced, slice_of
from stepwell_protocol.times import format_time

WHERE: Final = "answer"
KEPT: Final = frozenset({"ops", "events"})
_V1: Final = frozenset({"step", "sleep", "wait", "done", "error"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A version-2 answer. `time` is the app's clock in unix milliseconds, 0 when the app did not say."""

    token: int
    seq: int
    ops: tuple[Operation, ...]
    time: int = 0


def decode_answer_v1(raw: bytes, *, codec: Codec | None = None) -> Operation:
    """Read a version-1 answer: one operation.

    Raises:
        ValueError: `StrictJsonError` or `InvalidMessage`, naming the place.
    """
    op = an_object(load_sliced(raw, place=WHERE, codec=codec), WHERE)
    if op.get("op") not in _V1:
        raise InvalidMessage(f"{WHERE}.op", f"must be step, sleep, wait, done or error; got {shown(op.get('op'))}")
    try:
        return decode_operation(op, codec=codec)
    except InvalidMessage as error:
        raise error.inside(WHERE) from None


def decode_answer_v2(raw: bytes, *, codec: Codec | None = None) -> Answer:
    """Read a version-2 answer.

    Raises:
        ValueError: `StrictJsonError` or `InvalidMessage`, naming the place.
    """
    answer = an_object(load_sliced(raw, place=WHERE, inner=KEPT, codec=codec), WHERE)
    try:
        return Answer(
            token=whole(answer, "token"),
            seq=whole(answer, "seq"),
            ops=decode_operations(answer.get("ops"), codec=codec),
            time=whole(answer, "time") if "time" in answer else 0,
        )
    except InvalidMessage as error:
        raise error.inside(WHERE) from None


def decode_operations(ops: Any, *, codec: Codec | None = None) -> tuple[Operation, ...]:
    """Read the member `ops` of a version-2 message that `load_sliced` gave."""
    if not isinstance(ops, list) or len(ops) > limits.OPS_PER_ANSWER:
        raise InvalidMessage("ops", f"must be an array of at most {limits.OPS_PER_ANSWER} operations; got {shown(ops)}")
    found: list[Operation] = []
    for at, op in enumerate(ops):
        try:
            found.append(decode_operation(an_object(op, ""), codec=codec))
        except InvalidMessage as error:
            raise error.inside(f"ops[{at}]") from None
    return tuple(found)


def decode_operation(op: dict[str, Any], *, codec: Codec | None = None) -> Operation:
    """Read one operation that `load_sliced` gave; errors name the field within it."""
    kind = op.get("op")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise InvalidMessage("op", f"must be one of {', '.join(_READERS)}; got {shown(kind)}")
    return reader(op, codec)


def encode_answer_v2(answer: Answer) -> bytes:
    """Write a version-2 answer."""
    return b'{"token":%d,"seq":%d,"ops":[%b],"time":%d}' % (
        answer.token,
        answer.seq,
        encode_operations(answer.ops),
        answer.time,
    )


def encode_operations(ops: Iterable[Operation]) -> bytes:
    """Write operations of version 2, joined by commas."""
    return b",".join([encode_operation(op) for op in ops])


def encode_answer_v1(op: Operation) -> bytes:
    """Write a version-1 answer.

    Raises:
        InvalidMessage: version 1 has no word for this operation.
    """
    match op:
        case StepFailed(id=id, error=error):
            return _error_v1(quoted(id), error)
        case RunError(error=error):
            return _error_v1(NULL, error)
        case StepDone(id=id, data=data):
            return b'{"op":"step","id":%b,"data":%b}' % (quoted(id), data)
        case SleepUntil() | Done():
            return encode_operation(op)
        case WaitFor(until=until) if until is not None:
            return encode_operation(op)
        case _:
            raise InvalidMessage("op", f"version 1 of the wire cannot say {op!r:.80}")


def encode_operation(op: Operation) -> bytes:
    """Write one operation of version 2."""
    match op:
        case StepDone(id=id, data=data, ms=ms):
            return b'{"op":"step","id":%b,"data":%b%b}' % (quoted(id), data, _ms(ms))
        case SleepUntil(id=id, until=until):
            return b'{"op":"sleep","id":%b,"until":"%b"}' % (quoted(id), format_time(until).encode())
        case WaitFor(id=id, event=event, match=wanted, until=until):
            fields = (quoted(id), quoted(event), wanted or NULL, _until(until))
            return b'{"op":"wait","id":%b,"event":%b,"match":%b,"until":%b}' % fields
        case Done(data=data):
            return b'{"op":"done","data":%b}' % data
        case StepFailed(id=id, error=error, ms=ms):
            return b'{"op":"fail","id":%b,"error":%b%b}' % (quoted(id), encode_error(error), _ms(ms))
        case RunError(error=error):
            return b'{"op":"error","id":null,"error":%b}' % encode_error(error)
        case InvokeRun(id=id, target=target, input=given, detached=detached):
            call = (quoted(id), quoted(target), given, b"true" if detached else b"false")
            return b'{"op":"invoke","id":%b,"target":%b,"input":%b,"detached":%b}' % call
        case Signal(id=id, signal=signal, until=until):
            return b'{"op":"signal","id":%b,"signal":%b,"until":%b}' % (quoted(id), quoted(signal), _until(until))
        case SendEvent(id=id, events=events):
            return b'{"op":"sendEvent","id":%b,"events":[%b]}' % (quoted(id), b",".join(map(encode_sent_event, events)))
        case Progress(current=current, total=total, message=message):
            shares = (number(current), NULL if total is None else number(total), _text_or_null(message))
            return b'{"op":"progress","current":%b,"total":%b,"message":%b}' % shares
        case Log(level=level, message=message):
            return b'{"op":"log","level":%b,"message":%b}' % (quoted(level), quoted(message))
        case Continue():
            return b'{"op":"continue"}'
        case _:
            assert_never(op)


def encode_error(error: ErrorData) -> bytes:
    """Write an error as data, each text cut to its limit."""
    error = error.capped()
    return b'{"name":%b,"message":%b,"stack":%b,"retryable":%b,"retryAfter":%b}' % (
        quoted(error.name),
        quoted(error.message),
        _text_or_null(error.stack),
        b"true" if error.retryable else b"false",
        NULL if error.retry_after is None else number(error.retry_after),
    )


def decode_error(error: Any) -> ErrorData:
    """Read an error as data, each text cut to its limit.

    Raises:
        InvalidMessage: it is no object, or a field has the wrong type.
    """
    fields = an_object(error, "")
    return ErrorData(
        name=cut_text(fields, "name", longest=limits.ERROR_NAME_CHARS) or "Error",
        message=cut_text(fields, "message", longest=limits.ERROR_MESSAGE_CHARS) or "",
        stack=cut_text(fields, "stack", longest=limits.ERROR_STACK_CHARS),
        retryable=truth(fields, "retryable", default=True),
        retry_after=optional_number(fields, "retryAfter"),
    )


def encode_sent_event(event: SentEvent) -> bytes:
    """Write one event of a `sendEvent` operation, or the body of `POST /e`."""
    own_id = b"" if event.id is None else b'"id":%b,' % quoted(event.id)
    return b'{%b"name":%b,"data":%b}' % (own_id, quoted(event.name), event.data)


def _payload(op: dict[str, Any], key: str, codec: Codec | None, *, what: str, limit: int) -> bytes:
    if key not in op:
        return NULL
    data = slice_of(op, key, codec=codec)
    if over := limits.over_limit(what, size=len(data), limit=limit):
        raise TooLarge(key, over)
    return data


def _step(op: dict[str, Any], codec: Codec | None) -> StepDone:
    data = _payload(op, "data", codec, what="the step's result", limit=limits.STEP_RESULT_BYTES)
    return StepDone(text(op, "id"), data, optional_number(op, "ms"))


def _sleep(op: dict[str, Any], _: Codec | None) -> SleepUntil:
    return SleepUntil(text(op, "id"), instant(op, "until"))


def _wait(op: dict[str, Any], codec: Codec | None) -> WaitFor:
    wanted = None
    if op.get("match") is not None:
        an_object(op["match"], "match")
        wanted = _payload(op, "match", codec, what="match", limit=limits.EVENT_BYTES)
    return WaitFor(text(op, "id"), text(op, "event"), wanted, optional_instant(op, "until"))


def _done(op: dict[str, Any], codec: Codec | None) -> Done:
    return Done(_payload(op, "data", codec, what="the run's output", limit=limits.STEP_RESULT_BYTES))


def _fail(op: dict[str, Any], _: Codec | None) -> StepFailed:
    return StepFailed(text(op, "id"), _error_of(op), optional_number(op, "ms"))


def _error(op: dict[str, Any], codec: Codec | None) -> StepFailed | RunError:
    return RunError(_error_of(op)) if op.get("id") is None else _fail(op, codec)


def _error_of(op: dict[str, Any]) -> ErrorData:
    if "error" not in op:
        return decode_error(op)
    try:
        return decode_error(op["error"])
    except InvalidMessage as error:
        raise error.inside("error") from None


def _invoke(op: dict[str, Any], codec: Codec | None) -> InvokeRun:
    given = _payload(op, "input", codec, what="the input", limit=limits.EVENT_BYTES)
    return InvokeRun(text(op, "id"), text(op, "target"), given, truth(op, "detached", default=False))


def _signal(op: dict[str, Any], _: Codec | None) -> Signal:
    return Signal(text(op, "id"), text(op, "signal"), optional_instant(op, "until"))


def _send_event(op: dict[str, Any], codec: Codec | None) -> SendEvent:
    events = op.get("events")
    if not isinstance(events, list) or not 0 < len(events) <= limits.OPS_PER_ANSWER:
        raise InvalidMessage("events", f"must be an array of 1 to {limits.OPS_PER_ANSWER} events; got {shown(events)}")
    return SendEvent(text(op, "id"), tuple(_sent_event(event, at, codec) for at, event in enumerate(events)))


def _sent_event(event: Any, at: int, codec: Codec | None) -> SentEvent:
    try:
        fields = an_object(event, "")
        data = _payload(fields, "data", codec, what="the event", limit=limits.EVENT_BYTES)
        return SentEvent(text(fields, "name"), data, optional_text(fields, "id"))
    except InvalidMessage as error:
        raise error.inside(f"events[{at}]") from None


def _progress(op: dict[str, Any], _: Codec | None) -> Progress:
    current = optional_number(op, "current")
    if current is None:
        raise InvalidMessage("current", "must be a number; it is missing")
    return Progress(current, optional_number(op, "total"), cut_text(op, "message", longest=limits.ERROR_MESSAGE_CHARS))


def _log(op: dict[str, Any], _: Codec | None) -> Log:
    message = cut_text(op, "message", longest=limits.ERROR_STACK_CHARS)
    return Log(optional_text(op, "level") or "info", message or "")


def _until(until: datetime | None) -> bytes:
    return NULL if until is None else b'"%b"' % format_time(until).encode()


def _ms(ms: float | None) -> bytes:
    return b"" if ms is None else b',"ms":%b' % number(round(ms, 3))


def _text_or_null(value: str | None) -> bytes:
    return NULL if value is None else quoted(value)


def _error_v1(id: bytes, error: ErrorData) -> bytes:
    error = error.capped()
    retryable = b"true" if error.retryable else b"false"
    return b'{"op":"error","id":%b,"message":%b,"retryable":%b}' % (id, quoted(error.message), retryable)


_READERS: Final[dict[str, Callable[[dict[str, Any], Codec | None], Operation]]] = {
    "step": _step,
    "sleep": _sleep,
    "wait": _wait,
    "done": _done,
    "error": _error,
    "fail": _fail,
    "invoke": _invoke,
    "signal": _signal,
    "sendEvent": _send_event,
    "progress": _progress,
    "log": _log,
    "continue": lambda _, __: Continue(),
}
