"""The steps of a workflow: one kind each, names unique in the whole workflow, two levels of nesting."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from stepwell_protocol.times import InvalidTime, parse_time

from ..expressions import InvalidExpression, compile_expression
from ..retry import RetryPolicy
from .http import read_http
from .parts import read_retries
from .reader import Reader
from .spec import Body, Call, Compensation, Http, Parallel, Sleep, Step, WaitForEvent

KINDS: Final = ("call", "http", "parallel", "sleep", "waitForEvent", "switch", "loop", "waitForSignal", "workflow")
NOT_YET: Final = ("switch", "loop", "waitForSignal", "workflow")
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
MOST_STEPS: Final = (64, 16, 8)
ROOM_FOR_NAMES: Final = "write a small letter first, then small letters, digits, _ and -, at most 63 characters"

_LEVEL: Final = "deeper is a workflow of its own"


class _Scope:
    """What all steps of one workflow share while they are read."""

    def __init__(self, *, retries: RetryPolicy, timeout: timedelta | None) -> None:
        self.retries = retries
        self.timeout = timeout
        self.paths: dict[str, str] = {}
        self.unread: set[str] = set()


def read_steps(
    reader: Reader, *, retries: RetryPolicy, timeout: timedelta | None
) -> tuple[tuple[Step, ...], frozenset[str]]:
    """The steps, and the names of those that could not be read: referring to one of them is no second mistake."""
    if not reader.raw("steps"):
        reader.problems.add(reader.at("steps"), "a workflow needs steps", fix="write at least one step")
        return (), frozenset()
    scope = _Scope(retries=retries, timeout=timeout)
    return tuple(_steps(reader, "steps", scope, level=0)), frozenset(scope.unread)


def _steps(reader: Reader, field: str, scope: _Scope, *, level: int) -> Iterator[Step]:
    for entry in reader.objects(field, most=MOST_STEPS[level]):
        step = _step(entry, scope, level=level)
        if step is not None:
            yield step


def _step(entry: Reader, scope: _Scope, *, level: int) -> Step | None:
    name = _name(entry, scope)
    condition = entry.text("if", fix='write a CEL expression, such as "input.total > 100"')
    entry.parsed("if", condition, compile_expression, InvalidExpression)
    kind = entry.one_of(KINDS, what=f"the step {name!r}" if name else "a step")
    body = _body(entry, kind, scope, level=level)
    has_work = kind in ("call", "http")
    if kind is not None and kind not in NOT_YET:
        _refuse_misplaced(entry, kind)
    retries = read_retries(entry, default=scope.retries) if has_work else RetryPolicy()
    timeout = (entry.duration_or_template("timeout") or scope.timeout) if has_work else None
    compensate = _compensation(entry, scope) if has_work else None
    for field in ("with", "retries", "timeout", "compensate"):
        entry.raw(field)
    given = entry.raw("with") if kind == "call" else None
    entry.close()
    if name is None or body is None:
        scope.unread.update(_names_in(entry.document))
        return None
    return Step(
        name=name,
        path=entry.path.removeprefix("spec."),
        body=body,
        condition=condition,
        input=given,
        retries=retries,
        timeout=timeout,
        compensate=compensate,
    )


def _names_in(document: object) -> Iterator[str]:
    """Every name inside of a step that could not be read."""
    if isinstance(document, Mapping):
        if isinstance(document.get("name"), str):
            yield document["name"]
        for member in document.values():
            yield from _names_in(member)
    elif isinstance(document, list):
        for item in document:
            yield from _names_in(item)


def _name(entry: Reader, scope: _Scope) -> str | None:
    name = entry.text("name", required=True, fix=ROOM_FOR_NAMES)
    if name is None:
        return None
    if not NAME.fullmatch(name):
        entry.problems.add(entry.at("name"), f"{name!r} can't name a step", fix=ROOM_FOR_NAMES)
        return None
    if name in scope.paths:
        reason = f"{name!r} is the name of {scope.paths[name]} too"
        entry.problems.add(entry.at("name"), reason, fix="give every step of the workflow a name of its own")
        return None
    scope.paths[name] = entry.path
    return name


def _body(entry: Reader, kind: str | None, scope: _Scope, *, level: int) -> Body | None:
    match kind:
        case "call":
            return _call(entry)
        case "http":
            inner = entry.object("http")
            return None if inner is None else read_http(inner)
        case "parallel":
            return _parallel(entry, scope, level=level)
        case "sleep":
            return _sleep(entry)
        case "waitForEvent":
            return _wait(entry)
        case None:
            return None
        case _:
            entry.unsupported(kind, what=f"a step of the kind {kind}")
            return None


def _call(entry: Reader) -> Call | None:
    inner = entry.object("call", fix="write for example call: {handler: reserve-stock}")
    if inner is None:
        return None
    if inner.has("with"):
        fix = "move it one level out, so that it stands beside call"
        inner.problems.add(inner.at("with"), "with stands beside call, not inside", fix=fix)
    handler = inner.text("handler", required=True, longest=256, fix="write the id that the app knows the handler by")
    inner.close()
    return None if handler is None else Call(handler=handler)


def _parallel(entry: Reader, scope: _Scope, *, level: int) -> Parallel | None:
    if level == len(MOST_STEPS) - 1:
        entry.problems.add(entry.at("parallel"), "steps nest two levels at most", fix=_LEVEL)
        return None
    branches = tuple(_steps(entry, "parallel", scope, level=level + 1))
    if not entry.document["parallel"]:
        entry.problems.add(entry.at("parallel"), "it has no branches", fix="write at least one step in it")
    return Parallel(branches=branches)


def _sleep(entry: Reader) -> Sleep | None:
    inner = entry.object("sleep", fix="write for example sleep: {for: 3s}")
    if inner is None:
        return None
    inner.one_of(("for", "until"), what="a sleep")
    found = Sleep(
        duration=inner.duration_or_template("for"),
        until=inner.text("until", fix='write a time such as "2026-07-05T09:00:00Z"'),
    )
    if found.until is not None and "${{" not in found.until:
        try:
            parse_time(found.until)
        except InvalidTime as error:
            reason, _, fix = str(error).partition(": ")
            inner.problems.add(inner.at("until"), reason, fix=fix)
    inner.close()
    return found


def _wait(entry: Reader) -> WaitForEvent | None:
    inner = entry.object("waitForEvent", fix="write for example waitForEvent: {event: approval.received, timeout: 7d}")
    if inner is None:
        return None
    event = inner.text("event", required=True, longest=256, fix="write the event's name, such as approval.received")
    match = inner.object("match", fix="write an object; its members must be equal in the event's data")
    found = WaitForEvent(
        event=event or "?",
        match=None if match is None else match.document,
        timeout=inner.duration_or_template("timeout"),
    )
    inner.close()
    return found


def _compensation(entry: Reader, scope: _Scope) -> Compensation | None:
    inner = entry.object("compensate", fix="write for example compensate: {call: {handler: release-stock}}")
    if inner is None:
        return None
    kind = inner.one_of(("call", "http"), what="a compensation")
    body: Call | Http | None = None
    if kind == "call":
        body = _call(inner)
    elif kind == "http":
        http = inner.object("http")
        body = None if http is None else read_http(http)
    if kind == "http" and inner.has("with"):
        inner.problems.add(inner.at("with"), "with goes with call", fix="write the body in http.body")
    found = Compensation(
        body=body or Call(handler="?"),
        input=inner.raw("with"),
        retries=read_retries(inner, default=scope.retries),
        timeout=inner.duration_or_template("timeout") or scope.timeout,
    )
    inner.close()
    return found


def _refuse_misplaced(entry: Reader, kind: str) -> None:
    if entry.has("with"):
        if kind != "call":
            fix = "write the body in http.body" if kind == "http" else "remove it"
            entry.problems.add(entry.at("with"), f"with goes with call, not with {kind}", fix=fix)
        elif not isinstance(entry.raw("with"), dict):
            entry.problems.add(
                entry.at("with"), "it is not an object", fix='write for example with: {orderId: "${{ input.orderId }}"}'
            )
    if kind in ("call", "http"):
        return
    for field in ("retries", "timeout", "compensate"):
        if entry.has(field):
            fix = f"write it inside {kind}" if field == "timeout" and kind == "waitForEvent" else "remove it"
            entry.problems.add(entry.at(field), f"{field} goes with call and http, not with {kind}", fix=fix)
