"""The steps of a Workflow, two levels of nesting spelt out.

A structural schema can't recurse, so a step exists in three sizes: `Step` at the top, `InnerStep` inside `parallel`,
`switch` cases and `default`, and `LeafStep` once more inside those, which has no `parallel` and no `switch`; deeper
is a child `workflow`. All three share their fields' texts: `kubectl explain` shows the full ones at the top and a
pointer to them below, which also keeps the CRD small.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .policies import Retries
from .references import Endpoint, ServiceReference
from .schema import (
    AnyJson,
    Duration,
    DurationOrExpression,
    EventName,
    Expression,
    HandlerName,
    Json,
    Part,
    ResourceName,
    StepName,
    atomic,
    exactly_one_of,
    free_object,
    rule,
    rules,
)

KINDS = ("call", "http", "parallel", "switch", "__loop__", "sleep", "waitForEvent", "waitForSignal", "workflow")
LEAF_KINDS = tuple(kind for kind in KINDS if kind not in ("parallel", "switch"))

WITH_DESCRIPTION = (
    "Input of the step, beside call, loop and workflow. Values may be ${{ }} over input, steps and event; one whole"
    " ${{ e }} keeps e's type."
)
MATCH_DESCRIPTION = "Only an event whose data contains all of this, such as orderId: ${{ input.orderId }}."


class Call(Part):
    """Call a handler of the app."""

    handler: Annotated[HandlerName, Field(description="Id of the handler as the app knows it, such as reserve-stock.")]


class Http(Endpoint):
    """Send an HTTP request; the step's output is {status, headers, body}."""

    service: Annotated[ServiceReference | None, Field(description="A Service in the same namespace.")] = None
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None, Field(description="HTTP method. Absent: POST.")
    ] = None
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]] | None,
        Field(json_schema_extra={"maxProperties": 32}, description="Request headers; values may hold ${{ }}."),
    ] = None
    body: Annotated[AnyJson, Field(description="Request body, sent as JSON; strings in it may be ${{ }}.")] = None
    expect: Annotated[
        list[Annotated[int, Field(ge=200, le=599, json_schema_extra={"format": "int32"})]] | None,
        Field(json_schema_extra=atomic(32, 1), description="Statuses that count as success. Absent: any 2xx."),
    ] = None


class Compensation(Part):
    """What undoes the step when a later one fails or the run is cancelled."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(exactly_one_of("call", "http"), "a compensation is exactly one of call and http"),
            rule(
                "!has(self.with) || has(self.call)", "with goes with call; give an http request its body in http.body"
            ),
        )
    )

    call: Annotated[Call | None, Field(description="Handler that undoes the step.")] = None
    http: Annotated[Http | None, Field(description="HTTP request that undoes the step.")] = None
    with_: Annotated[
        Json | None,
        Field(
            alias="with",
            json_schema_extra=free_object(64),
            description="Input of the call; values may be ${{ }}. Absent: {input, output} of the step that is undone.",
        ),
    ] = None
    retries: Annotated[
        Retries | None, Field(description="Attempts of the compensation. Absent: as the workflow's.")
    ] = None
    timeout: Annotated[
        DurationOrExpression | None,
        Field(description="How long one attempt may take. Absent: as the workflow's timeouts.step."),
    ] = None


class Loop(Part):
    """Call a handler again and again until a condition holds."""

    call: Annotated[Call, Field(description="Handler that is called in each round.")]
    max_iterations: Annotated[
        int,
        Field(
            ge=1,
            le=10_000,
            json_schema_extra={"format": "int32"},
            description="Most rounds; the step fails after them.",
        ),
    ]
    until: Annotated[
        Expression | None, Field(description="CEL over result: ends the loop when true, such as result.done.")
    ] = None
    feedback: Annotated[
        Expression | None, Field(description="CEL over result: what the next round is given, such as result.cursor.")
    ] = None
    every: Annotated[Duration | None, Field(description="Pause between rounds. Absent: none.")] = None


class Sleep(Part):
    """Hold the workflow for a time or until an instant; no process waits meanwhile."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(exactly_one_of("__for__", "until"), "set exactly one of sleep.for and sleep.until")
        )
    )

    for_: Annotated[
        DurationOrExpression | None,
        Field(alias="for", description="How long: a duration such as 90s or 7d, or one ${{ }} that gives one."),
    ] = None
    until: Annotated[
        str | None,
        Field(min_length=1, max_length=1024, description="Until when: an RFC 3339 time, or one ${{ }} that gives one."),
    ] = None


class WaitForEvent(Part):
    """Wait until an event comes, or time out; the step's output is the event's data, null after a timeout."""

    event: Annotated[EventName, Field(description="Name of the event to wait for.")]
    match: Annotated[Json | None, Field(json_schema_extra=free_object(16), description=MATCH_DESCRIPTION)] = None
    timeout: Annotated[
        DurationOrExpression | None, Field(description="Longest wait. Absent: as long as the run may last.")
    ] = None


class WaitForSignal(Part):
    """Wait until a signal is sent to this run, or time out."""

    signal: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128, description="Name of the signal.")
    ]
    timeout: Annotated[
        DurationOrExpression | None, Field(description="Longest wait. Absent: as long as the run may last.")
    ] = None


class WorkflowReference(Part):
    """A Workflow of the same app."""

    name: Annotated[ResourceName, Field(description="Name of a Workflow in the same namespace.")]


class ChildWorkflow(Part):
    """Run another Workflow and wait for its end; the step's output is the child's."""

    ref: Annotated[WorkflowReference, Field(description="The Workflow to run.")]


class _StepFields(Part):
    """What a step of any level may have."""

    name: Annotated[
        StepName,
        Field(
            description=(
                "Name of the step, unique in the whole workflow, nested steps included. Its output is "
                "steps.<name>.output"
                " in later expressions; a name with a hyphen is read as steps['a-b'].output."
            )
        ),
    ]
    if_: Annotated[
        Expression | None,
        Field(alias="if", description="CEL over input, steps and event: the step is skipped when it is false."),
    ] = None
    with_: Annotated[
        Json | None, Field(alias="with", json_schema_extra=free_object(64), description=WITH_DESCRIPTION)
    ] = None
    retries: Annotated[
        Retries | None, Field(description="Attempts of this step. Absent: as the workflow's retries.")
    ] = None
    timeout: Annotated[
        DurationOrExpression | None,
        Field(description="How long one attempt may take. Absent: timeouts.step of the workflow, else of the app."),
    ] = None
    compensate: Annotated[
        Compensation | None,
        Field(description="What undoes this step when a later one fails or the run is cancelled; newest step first."),
    ] = None
    call: Annotated[
        Call | None, Field(description="Call a handler of the app; the step's output is what it returns.")
    ] = None
    http: Annotated[
        Http | None,
        Field(description="Send an HTTP request to a Service or URL; the output is {status, headers, body}."),
    ] = None
    loop: Annotated[Loop | None, Field(description="Call a handler again and again until a condition holds.")] = None
    sleep: Annotated[
        Sleep | None, Field(description="Hold the workflow for a time or until an instant; no process waits meanwhile.")
    ] = None
    wait_for_event: Annotated[
        WaitForEvent | None, Field(description="Wait for an event; the output is its data, null after the timeout.")
    ] = None
    wait_for_signal: Annotated[WaitForSignal | None, Field(description="Wait for a signal sent to this run.")] = None
    workflow: Annotated[
        ChildWorkflow | None, Field(description="Run another Workflow and wait for its end; the output is the child's.")
    ] = None


def _one_kind(kinds: tuple[str, ...]) -> Json:
    names = ", ".join(kind.strip("_") for kind in kinds)
    return rules(
        rule(exactly_one_of(*kinds), f"a step is exactly one of {names}: give each its own step"),
        rule(
            "!has(self.with) || has(self.call) || has(self.__loop__) || has(self.workflow)",
            "with goes beside call, loop or workflow; give an http step its body in http.body",
        ),
        rule("!has(self.compensate) || has(self.call) || has(self.http)", "compensate goes beside call or http"),
    )


class LeafStep(_StepFields):
    """One step, two levels down: no parallel and no switch here; a child workflow goes deeper."""

    model_config = ConfigDict(json_schema_extra=_one_kind(LEAF_KINDS))


class LeafCase(Part):
    """One case of a switch."""

    when: Annotated[str, Field(max_length=256, description="The value, compared as text, for which these steps run.")]
    steps: Annotated[list[LeafStep], Field(json_schema_extra=atomic(8, 1), description="Steps of this case, in order.")]


class LeafSwitch(Part):
    """Run the steps of the case that fits a value."""

    value: Annotated[str, Field(max_length=2048, description="${{ }} whose value picks the case.")]
    cases: Annotated[list[LeafCase], Field(json_schema_extra=atomic(8, 1), description="Cases, tried in order.")]
    default: Annotated[
        list[LeafStep] | None, Field(json_schema_extra=atomic(8), description="Steps when no case fits. Absent: none.")
    ] = None


class InnerStep(_StepFields):
    """One step, one level down."""

    model_config = ConfigDict(json_schema_extra=_one_kind(KINDS))

    parallel: Annotated[
        list[LeafStep] | None, Field(json_schema_extra=atomic(8, 1), description="Steps that run side by side.")
    ] = None
    switch: Annotated[LeafSwitch | None, Field(description="Run the steps of the case that fits a value.")] = None


class Case(Part):
    """One case of a switch."""

    when: Annotated[str, Field(max_length=256, description="The value, compared as text, for which these steps run.")]
    steps: Annotated[
        list[InnerStep], Field(json_schema_extra=atomic(16, 1), description="Steps of this case, in order.")
    ]


class Switch(Part):
    """Run the steps of the case that fits a value."""

    value: Annotated[str, Field(max_length=2048, description="${{ }} whose value picks the case.")]
    cases: Annotated[list[Case], Field(json_schema_extra=atomic(8, 1), description="Cases, tried in order.")]
    default: Annotated[
        list[InnerStep] | None,
        Field(json_schema_extra=atomic(16), description="Steps when no case fits. Absent: none."),
    ] = None


class Step(_StepFields):
    """One step: a name and exactly one of call, http, parallel, switch, loop, sleep, waitForEvent, waitForSignal and
    workflow."""

    model_config = ConfigDict(json_schema_extra=_one_kind(KINDS))

    parallel: Annotated[
        list[InnerStep] | None,
        Field(
            json_schema_extra=atomic(16, 1),
            description=(
                "Steps that run side by side; the workflow goes on when all have ended. A failed one lets its siblings"
                " finish, then fails the workflow."
            ),
        ),
    ] = None
    switch: Annotated[
        Switch | None, Field(description="Run the steps of the case that fits a value; of default when none does.")
    ] = None
