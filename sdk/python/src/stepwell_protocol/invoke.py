"""The engine's call to an app: a function to go on with, or one step of a workflow to run.

The engine writes with `encode_invoke` and `encode_workflow_call`, splicing the bytes of event, results and inputs as
they were received and encoding each journaled result once (`encode_entry`). The app reads with `decode_invoke`; results
stay as plain values until the handler reaches them, so a long history costs one parse and nothing else. A version-1
call has no `call`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from stepwell_protocol.messages import (
    NULL,
    InvalidMessage,
    an_object,
    optional_text,
    quoted,
    shown,
    text,
    whole,
    wholes,
)
from stepwell_protocol.strict_json import Codec
from stepwell_protocol.strict_json import loads as strict_loads

WHERE: Final = "call"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Event(NamedTuple):
    """The event that started the run; `data` is parsed."""

    id: str
    name: str
    data: Any


class Call(NamedTuple):
    """The terms of a version-2 call: fencing token, number of the exchange under it, and its times in unix ms of the
    database's clock.
    """

    token: int
    seq: int
    start_by: int
    end_by: int
    budget_ms: int


class WorkflowStep(NamedTuple):
    """The step of a workflow to run; `input` is parsed."""

    id: str
    handler: str
    attempt: int
    input: Any


class Invoke(NamedTuple):
    """One call. Either `function_id` and `event` are set, or `workflow` and `step`.

    `steps` maps a step's id to `{"type", "data"}` or, for a step that failed for good, `{"type", "error"}`; `results`
    maps the names of a workflow's earlier steps to their outputs.
    """

    run_id: str
    function_id: str | None = None
    event: Event | None = None
    steps: Mapping[str, Any] = _NOTHING
    call: Call | None = None
    revision: int | None = None
    attempts: Mapping[str, int] = _NOTHING
    pending: frozenset[str] = frozenset()
    checkpoint_url: str | None = None
    workflow: str | None = None
    step: WorkflowStep | None = None
    results: Mapping[str, Any] = _NOTHING

    @property
    def input(self) -> Any:
        """What the handler is given: the event's data, or the workflow step's input."""
        if self.step is not None:
            return self.step.input
        return self.event.data if self.event is not None else None


class Terms(NamedTuple):
    """What version 2 adds when the engine writes a call to a function."""

    call: Call
    revision: int
    attempts: Mapping[str, int] = _NOTHING
    pending: Iterable[str] = ()
    checkpoint_url: str | None = None


def encode_event(id: str, *, name: str, data: bytes) -> bytes:
    """The `event` member of a call; `data` is spliced as it is."""
    return b'{"id":%b,"name":%b,"data":%b}' % (quoted(id), quoted(name), data)


def encode_entry(id: str, *, type: str, data: bytes | None = None, error: bytes | None = None) -> bytes:
    """One member of `steps`: a journaled result, or the error of a step that failed for good. Worth keeping per run."""
    if error is not None:
        return b'%b:{"type":%b,"error":%b}' % (quoted(id), quoted(type), error)
    return b'%b:{"type":%b,"data":%b}' % (quoted(id), quoted(type), NULL if data is None else data)


def encode_invoke(
    run_id: str, *, function_id: str, event: bytes, entries: Iterable[bytes], terms: Terms | None = None
) -> bytes:
    """A call to a function: version 1, or version 2 when `terms` are given.

    Args:
        run_id: the run's id.
        function_id: the id under which the app knows the handler.
        event: what `encode_event` gave.
        entries: what `encode_entry` gave for each journaled result, in journal order.
        terms: what version 2 adds.
    """
    body = b'{"runId":%b,"functionId":%b,"event":%b,"steps":{%b}' % (
        quoted(run_id),
        quoted(function_id),
        event,
        b",".join(entries),
    )
    if terms is None:
        return body + b"}"
    return b'%b,"revision":%d,"call":%b,"attempts":{%b},"pending":[%b]%b}' % (
        body,
        terms.revision,
        _encode_call(terms.call),
        b",".join([b"%b:%d" % (quoted(step), n) for step, n in terms.attempts.items()]),
        b",".join(map(quoted, terms.pending)),
        b"" if terms.checkpoint_url is None else b',"checkpoint":{"url":%b}' % quoted(terms.checkpoint_url),
    )


def encode_workflow_call(
    run_id: str,
    *,
    workflow: str,
    step_id: str,
    handler: str,
    attempt: int,
    input: bytes,
    results: Mapping[str, bytes],
    call: Call,
) -> bytes:
    """A call for one step of a workflow; `input` and the values of `results` are spliced as they are."""
    return (
        b'{"runId":%b,"workflow":%b,"step":{"id":%b,"handler":%b,"attempt":%d,"input":%b},"results":{%b},"call":%b}'
        % (
            quoted(run_id),
            quoted(workflow),
            quoted(step_id),
            quoted(handler),
            attempt,
            input,
            b",".join([b"%b:%b" % (quoted(name), data) for name, data in results.items()]),
            _encode_call(call),
        )
    )


def decode_invoke(raw: bytes, *, codec: Codec | None = None) -> Invoke:
    """Read a call of either version, strictly.

    Raises:
        ValueError: `StrictJsonError` or `InvalidMessage`, naming the place.
    """
    return read_invoke(strict_loads(raw, place=WHERE, codec=codec))


def read_invoke(parsed: Any) -> Invoke:
    """Read a call that is parsed already, for an app that has checked the engine's signature and trusts its JSON.

    Raises:
        InvalidMessage: naming the place.
    """
    body = an_object(parsed, WHERE)
    try:
        run_id = text(body, "runId")
        call = _decode_call(body)
        if "workflow" in body:
            return Invoke(
                run_id,
                call=call,
                workflow=text(body, "workflow"),
                step=_decode_step(body),
                results=_member(body, "results"),
            )
        return Invoke(
            run_id,
            function_id=text(body, "functionId"),
            event=_decode_event(body),
            steps=_decode_steps(body),
            call=call,
            revision=whole(body, "revision") if body.get("revision") is not None else None,
            attempts=_decode_attempts(body),
            pending=_decode_pending(body),
            checkpoint_url=_decode_checkpoint(body),
        )
    except InvalidMessage as error:
        raise error.inside(WHERE) from None


def _encode_call(call: Call) -> bytes:
    return b'{"token":%d,"seq":%d,"startBy":%d,"endBy":%d,"budgetMs":%d}' % (
        call.token,
        call.seq,
        call.start_by,
        call.end_by,
        call.budget_ms,
    )


def _member(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return {} if value is None else an_object(value, key)


def _decode_call(body: dict[str, Any]) -> Call | None:
    if body.get("call") is None:
        return None
    call = an_object(body["call"], "call")
    try:
        return Call(*wholes(call, "token", "seq", "startBy", "endBy", "budgetMs"))
    except InvalidMessage as error:
        raise error.inside("call") from None


def _decode_event(body: dict[str, Any]) -> Event:
    event = an_object(body.get("event"), "event")
    try:
        return Event(optional_text(event, "id") or "", text(event, "name"), event.get("data"))
    except InvalidMessage as error:
        raise error.inside("event") from None


def _decode_steps(body: dict[str, Any]) -> dict[str, Any]:
    steps = _member(body, "steps")
    for name, entry in steps.items():
        if type(entry) is not dict:
            raise InvalidMessage(f"steps.{name}", f"must be an object; got {shown(entry)}")
    return steps


def _decode_step(body: dict[str, Any]) -> WorkflowStep:
    step = an_object(body.get("step"), "step")
    try:
        return WorkflowStep(text(step, "id"), text(step, "handler"), whole(step, "attempt", least=1), step.get("input"))
    except InvalidMessage as error:
        raise error.inside("step") from None


def _decode_attempts(body: dict[str, Any]) -> dict[str, int]:
    attempts = _member(body, "attempts")
    if not attempts:
        return attempts
    for name in attempts:
        try:
            whole(attempts, name)
        except InvalidMessage as error:
            raise error.inside("attempts") from None
    return attempts


def _decode_pending(body: dict[str, Any]) -> frozenset[str]:
    pending = body.get("pending")
    if not pending:
        return frozenset()
    if not isinstance(pending, (list, tuple)) or not all(type(name) is str for name in pending):
        raise InvalidMessage("pending", "must be an array of step ids")
    return frozenset(pending)


def _decode_checkpoint(body: dict[str, Any]) -> str | None:
    if body.get("checkpoint") is None:
        return None
    try:
        return text(an_object(body["checkpoint"], ""), "url", longest=2048)
    except InvalidMessage as error:
        raise error.inside("checkpoint") from None
