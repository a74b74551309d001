"""Turns a step that is to start into the action that starts it, with its templates rendered."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, assert_never

from stepwell_protocol.durations import InvalidDuration, parse_duration
from stepwell_protocol.times import InvalidTime, parse_time

from ..definition import Call, Compensation, Http, Service, Sleep, Step, WaitForEvent
from ..expressions import ExpressionError, render, render_url
from .actions import CallStep, FailStep, HttpStep, StartSleep, StartWait
from .scope import Scope
from .state import PlanState


def start(
    step: Step, body: Call | Http | Sleep | WaitForEvent, *, scope: Scope, state: PlanState, now: datetime
) -> Any:
    """The action that starts a step, or the FailStep of an expression that fails on the data."""
    try:
        match body:
            case Call():
                return CallStep(
                    step=step.name,
                    handler=body.handler,
                    input=input_of(step, scope),
                    attempt=_attempt(step.name, state),
                    retries=step.retries,
                    timeout=_duration(step.timeout, scope, f"{step.path}.timeout"),
                )
            case Http():
                return HttpStep(
                    step=step.name,
                    attempt=_attempt(step.name, state),
                    retries=step.retries,
                    timeout=_duration(step.timeout, scope, f"{step.path}.timeout"),
                    **_request(body, scope, f"{step.path}.http"),
                )
            case Sleep():
                return StartSleep(step=step.name, until=_wake(body, scope, step.path, now))
            case WaitForEvent():
                return _wait(step, body, scope, now)
            case _:
                assert_never(body)
    except ExpressionError as error:
        return FailStep(step=step.name, error=failure(error))


def undo(
    step: Step, compensation: Compensation, *, name: str, output: Any, scope: Scope, state: PlanState
) -> CallStep | HttpStep | FailStep:
    """The action that compensates a step whose result was `output`. Without `with` it receives {"input", "output"}."""
    path = f"{step.path}.compensate"
    try:
        original = {"input": input_of(step, scope), "output": output}
        timeout = _duration(compensation.timeout, scope, f"{path}.timeout")
        attempt = _attempt(name, state)
        if isinstance(compensation.body, Call):
            given = compensation.input
            return CallStep(
                step=name,
                handler=compensation.body.handler,
                input=original if given is None else render(given, scope, path=f"{path}.with"),
                attempt=attempt,
                retries=compensation.retries,
                timeout=timeout,
                undoes=step.name,
            )
        request = _request(compensation.body, scope, f"{path}.http")
        if request["body"] is None and request["method"] != "GET":
            request["body"] = original
        return HttpStep(
            step=name, attempt=attempt, retries=compensation.retries, timeout=timeout, undoes=step.name, **request
        )
    except ExpressionError as error:
        return FailStep(step=name, error=failure(error))


def input_of(step: Step, scope: Scope) -> Any:
    """What a step works on: its `with`, an `http` step's body, or else the run's input."""
    if isinstance(step.body, Http):
        return render(step.body.body, scope, path=f"{step.path}.http.body")
    if step.input is None:
        return scope["input"]
    return render(step.input, scope, path=f"{step.path}.with")


def failure(error: ExpressionError) -> dict[str, Any]:
    return {"name": error.code, "message": str(error), "retryable": False}


def _attempt(name: str, state: PlanState) -> int:
    return state.attempts.get(name, 0) + 1


def _request(body: Http, scope: Scope, path: str) -> dict[str, Any]:
    service = body.service
    if service is not None:
        where = render_url(service.path, scope, path=f"{path}.service.path")
        service = Service(name=service.name, port=service.port, path=where)
    headers = {name: _header(value, scope, f"{path}.headers.{name}") for name, value in body.headers.items()}
    return {
        "service": service,
        "url": None if body.url is None else render_url(body.url, scope, path=f"{path}.url"),
        "method": body.method,
        "headers": headers,
        "body": render(body.body, scope, path=f"{path}.body"),
        "expect": body.expect,
    }


def _header(text: str, scope: Scope, path: str) -> str:
    value = render(text, scope, path=path)
    written = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, dict | list) or value is None or any(mark in written for mark in "\r\n\0"):
        raise ExpressionError("a header must be a text on one line", source=text, path=path)
    return written


def _wake(body: Sleep, scope: Scope, path: str, now: datetime) -> datetime:
    if body.until is None:
        wait = _duration(body.duration, scope, f"{path}.sleep.for")
        assert wait is not None
        return now + wait
    value = render(body.until, scope, path=f"{path}.sleep.until")
    try:
        return parse_time(value)
    except InvalidTime as error:
        raise ExpressionError(str(error), source=body.until, path=f"{path}.sleep.until") from None


def _wait(step: Step, body: WaitForEvent, scope: Scope, now: datetime) -> StartWait:
    path = f"{step.path}.waitForEvent"
    event = render(body.event, scope, path=f"{path}.event")
    if not isinstance(event, str) or not event:
        raise ExpressionError("an event's name must be a text", source=body.event, path=f"{path}.event")
    match: Mapping[str, Any] | None = render(body.match, scope, path=f"{path}.match")
    timeout = _duration(body.timeout, scope, f"{path}.timeout")
    return StartWait(step=step.name, event=event, match=match, until=None if timeout is None else now + timeout)


def _duration(value: timedelta | str | None, scope: Scope, path: str) -> timedelta | None:
    if not isinstance(value, str):
        return value
    rendered = render(value, scope, path=path)
    try:
        return parse_duration(rendered)
    except InvalidDuration as error:
        raise ExpressionError(str(error), source=value, path=path) from None
