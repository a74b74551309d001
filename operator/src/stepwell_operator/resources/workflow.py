"""Workflow: steps declared in a manifest, of which the app only serves the handlers."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .function import APP_REF_RULE, BATCH_RULES, DefinitionStatus, Policies
from .schema import AnyJson, atomic, rule, rules
from .steps import Step


class WorkflowSpec(Policies):
    """Steps in order, what starts them, and how their runs are retried and limited."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            APP_REF_RULE,
            *BATCH_RULES,
            rule(
                "self.steps.all(a, self.steps.exists_one(b, a.name == b.name))",
                "two steps have the same name: names are unique in the whole workflow",
                field_path=".steps",
            ),
        )
    )

    steps: Annotated[
        list[Step],
        Field(
            json_schema_extra=atomic(64, 1),
            description=(
                "What the workflow does, in order: up to 64 steps. A step has a name and exactly one kind: call (a "
                "handler"
                " of the app), http (a request to a Service), parallel (steps side by side), switch (steps by "
                "value), loop"
                " (a handler until a condition holds), sleep, waitForEvent, waitForSignal or workflow (a child run)."
                " The"
                " output of a step is steps.<name>.output in the ${{ }} of later steps. Steps nest two levels; "
                "deeper is a"
                " child workflow. Each result is committed before the next step starts; a failed attempt is repeated as"
                " retries says, and when a step has failed for good the completed steps that have compensate are "
                "undone,"
                " newest first."
            ),
        ),
    ]
    output: Annotated[
        AnyJson,
        Field(description="The run's output: ${{ }} or an object that holds some. Absent: the last step's output."),
    ] = None


class WorkflowStatus(DefinitionStatus):
    """What the engine has of the workflow."""

    steps: Annotated[
        int | None,
        Field(
            ge=0,
            json_schema_extra={"format": "int32"},
            description="Steps of the revision in force, nested ones included.",
        ),
    ] = None
