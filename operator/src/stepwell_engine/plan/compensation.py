"""Undoes what a workflow has done: the latest in the journal first, one at a time."""

from collections.abc import Mapping
from typing import Any, Final

from ..definition import Step, WorkflowSpec
from .actions import Action, Advance
from .scope import Scope
from .start import undo
from .state import Completed, Failed, PlanState

PREFIX: Final = "compensate:"


def compensate(spec: WorkflowSpec, state: PlanState, scope: Scope) -> Advance | None:
    """The next compensation, an empty answer while one is pending, or None when there is nothing left to undo."""
    for step in to_undo(spec, state):
        name = PREFIX + step.name
        if name in state.results:
            continue
        if name in state.pending:
            return Advance(compensating=True)
        assert step.compensate is not None
        settled = state.results.get(step.name)
        output = settled.output if isinstance(settled, Completed) else None
        action: Action = undo(step, step.compensate, name=name, output=output, scope=scope, state=state)
        return Advance(actions=(action,), compensating=True)
    return None


def to_undo(spec: WorkflowSpec, state: PlanState) -> list[Step]:
    """The steps that have, or may have, had their effect and can be undone, in the order of undoing."""
    found: list[tuple[int, Step]] = []
    for step in spec.walk():
        if step.compensate is None:
            continue
        settled = state.results.get(step.name)
        if isinstance(settled, Completed):
            found.append((settled.ordinal, step))
        elif step.name in state.uncertain:
            found.append((state.uncertain[step.name], step))
    return [step for _, step in sorted(found, key=lambda pair: pair[0], reverse=True)]


def not_compensated(spec: WorkflowSpec, state: PlanState) -> Mapping[str, Any]:
    """What to add to the run's error about compensations that failed for good."""
    failed = [
        {"step": step.name, "message": str(result.error.get("message", ""))}
        for step in spec.walk()
        if isinstance(result := state.results.get(PREFIX + step.name), Failed)
    ]
    return {"notCompensated": failed} if failed else {}
