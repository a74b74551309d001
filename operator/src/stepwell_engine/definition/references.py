"""Who may refer to whom: every expression of a workflow reads only steps that are settled when it is evaluated.

A step sees the steps before it, with all that is nested in them. Branches of one `parallel` run side by side and
don't see each other. A compensation sees what its step saw, and the step itself. The workflow's output sees
everything.
"""

import difflib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..expressions import Expression, InvalidExpression, compile_expression, expressions_in
from .problems import Problems
from .spec import Body, Call, Http, Parallel, Sleep, Step, WaitForEvent, WorkflowSpec

_FIELDS = ("output", "error")


class _Plan:
    """The names of a workflow's steps, and which of them each step reads."""

    def __init__(self, spec: WorkflowSpec, *, unread: frozenset[str]) -> None:
        self.unread = unread
        self.steps = {step.name: step for step in spec.walk()}
        self.reads: dict[str, set[str]] = {}
        for step in self.steps.values():
            self.reads[step.name] = {
                reference.step
                for _, expression in _expressions(step)
                if isinstance(expression, Expression)
                for reference in expression.references
                if reference.step
            }

    def way(self, start: str, goal: str) -> list[str] | None:
        """Step names from `start` to `goal` along what they read, if `start` depends on `goal`."""
        ways: list[list[str]] = [[start]]
        seen = {start}
        while ways:
            way = ways.pop(0)
            if way[-1] == goal:
                return way
            for name in sorted(self.reads.get(way[-1], set()) - seen):
                seen.add(name)
                ways.append([*way, name])
        return None


def check_references(spec: WorkflowSpec, *, unread: frozenset[str], problems: Problems) -> None:
    """Add a problem for every expression that is refused or reads what it can't. `unread` names steps that have
    problems of their own."""
    plan = _Plan(spec, unread=unread)
    _check_list(spec.steps, set(), plan, problems)
    for path, found in expressions_in(spec.output, path="spec.output"):
        _check(path, found, set(plan.steps), None, plan, problems)


def _check_list(steps: tuple[Step, ...], settled: set[str], plan: _Plan, problems: Problems) -> set[str]:
    """Check steps that run one after another; gives the names settled behind them."""
    for step in steps:
        _check_step(step, settled, plan, problems)
        behind = settled | {step.name}
        if isinstance(step.body, Parallel):
            for branch in step.body.branches:
                behind |= _check_list((branch,), settled, plan, problems)
        settled = behind
    return settled


def _names(parallel: Parallel) -> set[str]:
    found: set[str] = set()
    for branch in parallel.branches:
        found.add(branch.name)
        if isinstance(branch.body, Parallel):
            found |= _names(branch.body)
    return found


def _check_step(step: Step, settled: set[str], plan: _Plan, problems: Problems) -> None:
    for path, found in _expressions(step):
        undoes = path.startswith(f"spec.{step.path}.compensate")
        _check(path, found, settled | {step.name} if undoes else settled, step.name, plan, problems)


def _expressions(step: Step) -> Iterator[tuple[str, Expression | InvalidExpression]]:
    path = f"spec.{step.path}"
    if step.condition is not None:
        with suppress(InvalidExpression):  # told when the step was read
            yield f"{path}.if", compile_expression(step.condition)
    yield from expressions_in(step.input, path=f"{path}.with")
    yield from expressions_in(step.timeout, path=f"{path}.timeout")
    for name, value in _templated(step.body):
        yield from expressions_in(value, path=f"{path}.{name}")
    if step.compensate is not None:
        yield from expressions_in(step.compensate.input, path=f"{path}.compensate.with")
        yield from expressions_in(step.compensate.timeout, path=f"{path}.compensate.timeout")
        for name, value in _templated(step.compensate.body):
            yield from expressions_in(value, path=f"{path}.compensate.{name}")


def _templated(body: Body) -> Iterator[tuple[str, Any]]:
    match body:
        case Http():
            yield "http.url", body.url
            yield "http.service.path", body.service and body.service.path
            yield "http.headers", body.headers
            yield "http.body", body.body
        case Sleep():
            yield "sleep.for", body.duration
            yield "sleep.until", body.until
        case WaitForEvent():
            yield "waitForEvent.event", body.event
            yield "waitForEvent.match", body.match
            yield "waitForEvent.timeout", body.timeout
        case Call() | Parallel():
            pass


def _check(
    path: str,
    found: Expression | InvalidExpression,
    settled: set[str],
    reader: str | None,
    plan: _Plan,
    problems: Problems,
) -> None:
    if isinstance(found, InvalidExpression):
        problems.add_refusal(path, found)
        return
    for reference in found.references:
        name = reference.step
        if name is None or (name in plan.unread and name not in plan.steps):
            continue
        if name not in settled:
            reason, fix = _why_not(name, reader, plan)
            problems.add(path, reason, fix=fix)
        elif len(reference.path) > 2 and reference.path[2] not in _FIELDS:
            field = reference.path[2]
            spelled = f"steps.{name}" if "-" not in name else f"steps['{name}']"
            problems.add(path, f"a step has output and error, not {field!r}", fix=f"write {spelled}.output.{field}")


def _why_not(name: str, reader: str | None, plan: _Plan) -> tuple[str, str]:
    if name not in plan.steps:
        near = difflib.get_close_matches(name, plan.steps, n=1)
        known = ", ".join(plan.steps)
        return f"there is no step {name!r}", f"did you mean {near[0]!r}?" if near else f"the steps are {known}"
    if reader is None or name == reader:
        return f"the step {name!r} refers to itself", "refer to a step before it"
    way = plan.way(name, reader)
    if way is not None:
        cycle = " → ".join([reader, *way])
        return f"the steps refer to each other in a cycle ({cycle})", "let each step read only steps before it"
    if _side_by_side(name, reader, plan):
        return f"the step {name!r} runs side by side with {reader!r}", "read it in a step after the parallel one"
    home = plan.steps[name].body
    if isinstance(home, Parallel) and reader in _names(home):
        return f"the step {name!r} holds {reader!r} and is settled after it", "read it in a step after the parallel one"
    return f"the step {name!r} comes later than {reader!r}", "move it before, or read it in a step after it"


def _side_by_side(one: str, other: str, plan: _Plan) -> bool:
    for step in plan.steps.values():
        if isinstance(step.body, Parallel):
            homes = [
                index
                for index, branch in enumerate(step.body.branches)
                for name in (one, other)
                if name == branch.name or (isinstance(branch.body, Parallel) and name in _names(branch.body))
            ]
            if len(set(homes)) == 2:
                return True
    return False
