"""Function: durable code in an app, what starts it and how its runs are retried and limited."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .policies import (
    Batch,
    CancelOn,
    Concurrency,
    Debounce,
    Idempotency,
    RateLimit,
    Retries,
    Singleton,
    Throttle,
    Timeouts,
)
from .references import AppReference
from .schema import HandlerName, Json, Part, atomic, free_object, rule, rules
from .status import Status
from .triggers import TRIGGERS_DESCRIPTION, Trigger

APP_REF_RULE = rule(
    "self.appRef.name == oldSelf.appRef.name",
    "appRef can't be changed: make a new object for the other app, then delete this one",
    field_path=".appRef",
)


class Input(Part):
    """What a run may be started with."""

    schema_: Annotated[
        Json | None,
        Field(
            alias="schema",
            json_schema_extra=free_object(256),
            description=(
                "JSON Schema (2020-12) of the input; an input that doesn't fit is refused. $ref must begin with #."
            ),
        ),
    ] = None


class Policies(Part):
    """What Function and Workflow say alike."""

    app_ref: Annotated[
        AppReference, Field(description="The StepwellApp it belongs to, in the same namespace. Can't be changed.")
    ]
    triggers: Annotated[list[Trigger] | None, Field(json_schema_extra=atomic(16), description=TRIGGERS_DESCRIPTION)] = (
        None
    )
    input: Annotated[Input | None, Field(description="What a run may be started with.")] = None
    retries: Annotated[
        Retries | None, Field(description="How often a step is attempted and how long to wait in between.")
    ] = None
    timeouts: Annotated[Timeouts | None, Field(description="How long a step, the start and a whole run may take.")] = (
        None
    )
    concurrency: Annotated[
        list[Concurrency] | None,
        Field(json_schema_extra=atomic(4), description="Most runs that execute at one time, in all or per key. Exact."),
    ] = None
    priority: Annotated[
        int | None,
        Field(
            ge=-1_000_000,
            le=1_000_000,
            json_schema_extra={"format": "int32"},
            description="Runs of a higher priority start first among those of the same app. Absent: 0.",
        ),
    ] = None
    throttle: Annotated[
        Throttle | None, Field(description="Start at most so many runs per period; the rest start later.")
    ] = None
    rate_limit: Annotated[
        RateLimit | None, Field(description="Start at most so many runs per period; the rest are dropped.")
    ] = None
    debounce: Annotated[
        Debounce | None, Field(description="Start one run with the last event once none came for a while.")
    ] = None
    batch: Annotated[Batch | None, Field(description="Start one run with a list of events.")] = None
    singleton: Annotated[Singleton | None, Field(description="At most one active run, in all or per key.")] = None
    cancel_on: Annotated[
        list[CancelOn] | None, Field(json_schema_extra=atomic(8), description="Events that cancel active runs.")
    ] = None
    idempotency: Annotated[Idempotency | None, Field(description="Start one run per key and window.")] = None
    suspend: Annotated[
        bool | None,
        Field(
            description=(
                "true: event runs are created and held, cron instants are skipped; active runs go on. Absent: false."
            )
        ),
    ] = None


BATCH_RULES = (
    rule(
        "!(has(self.debounce) && has(self.batch))",
        "debounce and batch can't be combined: keep one of them",
        field_path=".batch",
    ),
    rule(
        "!(has(self.debounce) || has(self.batch)) || !has(self.triggers)"
        " || self.triggers.all(t, !has(t.http) || !has(t.http.response) || t.http.response != 'Wait')",
        "an http trigger with response: Wait can't be combined with debounce or batch: use response: Accepted",
        field_path=".triggers",
    ),
)


class FunctionSpec(Policies):
    """A durable function of an app: what starts it, and how its runs are retried and limited."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            APP_REF_RULE,
            rule(
                "has(self.handler) == has(oldSelf.handler) && (!has(self.handler) || self.handler == oldSelf.handler)",
                "handler can't be changed: make a new Function for the other handler, then delete this one",
            ),
            *BATCH_RULES,
        )
    )

    handler: Annotated[
        HandlerName | None,
        Field(description="Id of the function as the app knows it. Absent: metadata.name. Can't be changed."),
    ] = None


class EffectiveRetries(Part):
    """Retries as they come out."""

    max_attempts: Annotated[
        int | None, Field(json_schema_extra={"format": "int32"}, description="Attempts in all.")
    ] = None
    initial: Annotated[str | None, Field(max_length=32, description="Wait before the second attempt.")] = None
    max: Annotated[str | None, Field(max_length=32, description="Longest wait.")] = None


class Effective(Part):
    """Values in force, those included that the spec leaves out."""

    retries: Annotated[EffectiveRetries | None, Field(description="Retries in force.")] = None
    step_timeout: Annotated[str | None, Field(max_length=32, description="How long one call may take.")] = None


class DefinitionStatus(Status):
    """What the engine has of the definition."""

    revision: Annotated[
        int | None, Field(ge=0, json_schema_extra={"format": "int32"}, description="Revision that new runs use.")
    ] = None
    effective: Annotated[
        Effective | None, Field(description="Values in force, those included that the spec leaves out.")
    ] = None


class FunctionStatus(DefinitionStatus):
    """What the engine has of the function."""

    handler: Annotated[str | None, Field(max_length=256, description="Id of the function as the app knows it.")] = None
    overrides: Annotated[
        list[Annotated[str, Field(max_length=256)]] | None,
        Field(
            json_schema_extra=atomic(64),
            description="Fields of a discovered Function that a person owns and the app's own values give way to.",
        ),
    ] = None
    not_served_since: Annotated[
        str | None,
        Field(
            json_schema_extra={"format": "date-time"}, description="Since when the app no longer serves the handler."
        ),
    ] = None
