"""The walk itself: which steps are settled, which may start, and how the run ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..definition import Parallel, Step, WorkflowSpec
from ..expressions import ExpressionError, compile_expression, render
from .actions import Action, Advance, Cancel, Complete, Fail, FailStep, SkipStep
from .compensation import PREFIX, compensate, not_compensated
from .scope import Scope, scope_of
from .start import failure, start
from .state import Failed, PlanState


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of a step or a list of steps: still `open` (with what can start now), or settled, and then well or not."""

    open: bool
    actions: tuple[Action, ...] = ()
    failed: bool = False


_DONE = _Outcome(open=False)
_FAILED = _Outcome(open=False, failed=True)


def advance(spec: WorkflowSpec, state: PlanState, *, now: datetime) -> Advance:
    """What to do next; see the package's docstring for the contract."""
    scope = scope_of(spec, state)
    if state.stop is not None:
        return _stop(spec, state, scope)
    walk = _Walk(state, scope, now)
    outcome = walk.steps(spec.steps)
    if outcome.open:
        return Advance(actions=outcome.actions)
    if outcome.failed:
        return _fail(spec, state, scope, _first_failure(spec, state))
    try:
        output = render(spec.output, scope, path="output")
    except ExpressionError as error:
        return _fail(spec, state, scope, failure(error))
    return Advance(actions=(Complete(output=output),))


class _Walk:
    """One pass over the steps of one run."""

    def __init__(self, state: PlanState, scope: Scope, now: datetime) -> None:
        self._state = state
        self._scope = scope
        self._now = now

    def steps(self, steps: tuple[Step, ...]) -> _Outcome:
        for step in steps:
            outcome = self._step(step)
            if outcome.open or outcome.failed:
                return outcome
        return _DONE

    def _step(self, step: Step) -> _Outcome:
        settled = self._state.results.get(step.name)
        if settled is not None:
            return _FAILED if isinstance(settled, Failed) else _DONE
        if step.name in self._state.pending:
            return _Outcome(open=True)
        try:
            wanted = step.condition is None or self._condition(step.condition, step.path)
        except ExpressionError as error:
            return _Outcome(open=True, actions=(FailStep(step=step.name, error=failure(error)),))
        if not wanted:
            return _Outcome(open=True, actions=(SkipStep(step=step.name),))
        if isinstance(step.body, Parallel):
            return self._parallel(step.body)
        action = start(step, step.body, scope=self._scope, state=self._state, now=self._now)
        return _Outcome(open=True, actions=(action,))

    def _parallel(self, parallel: Parallel) -> _Outcome:
        outcomes = [self._step(branch) for branch in parallel.branches]
        if any(outcome.open for outcome in outcomes):
            return _Outcome(open=True, actions=tuple(action for outcome in outcomes for action in outcome.actions))
        return _FAILED if any(outcome.failed for outcome in outcomes) else _DONE

    def _condition(self, source: str, path: str) -> bool:
        return compile_expression(source).condition(self._scope, path=f"{path}.if")


def _stop(spec: WorkflowSpec, state: PlanState, scope: Scope) -> Advance:
    assert state.stop is not None
    in_flight = any(not name.startswith(PREFIX) for name in state.pending)
    if in_flight or (state.pending and not state.stop.compensate):
        return Advance()
    if state.stop.compensate:
        undoing = compensate(spec, state, scope)
        if undoing is not None:
            return undoing
    missing = not_compensated(spec, state)
    if state.stop.error is not None:
        return Advance(actions=(Fail(error={**state.stop.error, **missing}),), compensating=True)
    return Advance(actions=(Cancel(error=missing or None),), compensating=True)


def _fail(spec: WorkflowSpec, state: PlanState, scope: Scope, error: Mapping[str, Any]) -> Advance:
    undoing = compensate(spec, state, scope)
    if undoing is not None:
        return undoing
    return Advance(actions=(Fail(error={**error, **not_compensated(spec, state)}),), compensating=True)


def _first_failure(spec: WorkflowSpec, state: PlanState) -> Mapping[str, Any]:
    failures = [
        (result.ordinal, step.name, result.error)
        for step in spec.walk()
        if isinstance(result := state.results.get(step.name), Failed)
    ]
    _, name, error = min(failures, key=lambda found: found[0])
    return {**error, "step": name}
