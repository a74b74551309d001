"""What expressions of a run see: `input`, `steps`, `event` and `run`."""

from collections.abc import Mapping
from typing import Any

from ..definition import Parallel, Step, WorkflowSpec
from .state import Completed, Failed, PlanState, Result, Skipped

Scope = Mapping[str, Any]


def scope_of(spec: WorkflowSpec, state: PlanState) -> Scope:
    """Every settled step as {"output", "error"}. A `parallel`'s output is its branches' outputs by name."""
    steps: dict[str, Any] = {}
    for step in spec.steps:
        _add(step, state.results, steps)
    return {"input": state.input, "steps": steps, "event": state.event, "run": state.run}


def _add(step: Step, results: Mapping[str, Result], steps: dict[str, Any]) -> bool:
    """Add a step and what is nested in it; gives whether all of it is settled."""
    match results.get(step.name):
        case Completed(output=output):
            steps[step.name] = {"output": output, "error": None}
            return True
        case Failed(error=error):
            steps[step.name] = {"output": None, "error": error}
            return True
        case Skipped():
            _add_skipped(step, steps)
            return True
        case None:
            pass
    if not isinstance(step.body, Parallel):
        return False
    settled = [_add(branch, results, steps) for branch in step.body.branches]
    if all(settled):
        output = {branch.name: steps[branch.name]["output"] for branch in step.body.branches}
        steps[step.name] = {"output": output, "error": None}
    return all(settled)


def _add_skipped(step: Step, steps: dict[str, Any]) -> None:
    steps[step.name] = {"output": None, "error": None}
    if isinstance(step.body, Parallel):
        for branch in step.body.branches:
            _add_skipped(branch, steps)
