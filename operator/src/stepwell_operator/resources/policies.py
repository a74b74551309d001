"""How runs of a definition are retried, limited, gathered and cancelled: the shared policies of Function and Workflow.

Policy fields have no schema defaults: what a field left out comes to is shown in status, so that an object holds only
what its author wrote.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .schema import (
    Duration,
    EventName,
    Json,
    KeyExpression,
    Part,
    duration_at_most,
    free_object,
    rule,
    rules,
)

Limit = Annotated[int, Field(ge=1, le=1_000_000, json_schema_extra={"format": "int32"})]


class Backoff(Part):
    """How long to wait between attempts."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                duration_at_most("initial", "max"),
                "backoff.initial must not be longer than backoff.max",
                field_path=".initial",
            )
        )
    )

    type: Annotated[
        Literal["Exponential", "Linear", "Constant"] | None,
        Field(
            description=(
                "How the wait grows: Exponential doubles it, Linear adds initial, Constant keeps it. Absent: "
                "Exponential."
            )
        ),
    ] = None
    initial: Annotated[Duration | None, Field(description="Wait before the second attempt. Absent: 1s.")] = None
    max: Annotated[Duration | None, Field(description="Longest wait. Absent: 60s.")] = None


class Retries(Part):
    """How often a step is attempted and how long to wait in between."""

    max_attempts: Annotated[
        int | None,
        Field(
            ge=1,
            le=1000,
            json_schema_extra={"format": "int32"},
            description="Attempts in all, the first included; 1 means no retry. Absent: 3.",
        ),
    ] = None
    backoff: Annotated[Backoff | None, Field(description="How long to wait between attempts.")] = None


class Timeouts(Part):
    """How long things may take."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                duration_at_most("step", "run"),
                "timeouts.step must not be longer than timeouts.run",
                field_path=".step",
            )
        )
    )

    step: Annotated[
        Duration | None, Field(description="One call to the app. Absent: callback.timeout of the StepwellApp.")
    ] = None
    start: Annotated[
        Duration | None, Field(description="From being created to being started; a run that waits longer is cancelled.")
    ] = None
    run: Annotated[Duration | None, Field(description="From start to end, waits included. Absent: no limit.")] = None


class Concurrency(Part):
    """At most `limit` runs execute at one time, per value of `key`."""

    limit: Annotated[
        Limit, Field(description="Most runs that execute at one time. Sleeping and waiting runs do not count.")
    ]
    key: Annotated[
        KeyExpression | None,
        Field(
            description=(
                "Counted apart per value of this: a path into the event's data (tenantId) or CEL (event.data.tenantId)."
            )
        ),
    ] = None


class Throttle(Part):
    """Start at most `limit` runs per `period`; the rest start later."""

    limit: Annotated[Limit, Field(description="Runs per period.")]
    period: Annotated[Duration, Field(description="Length of the period.")]
    burst: Annotated[Limit | None, Field(description="Runs that may start at once. Absent: 1.")] = None
    key: Annotated[KeyExpression | None, Field(description="Counted apart per value of this.")] = None


class RateLimit(Part):
    """Start at most `limit` runs per `period`; the rest are dropped, on record."""

    limit: Annotated[Limit, Field(description="Runs per period.")]
    period: Annotated[Duration, Field(description="Length of the period.")]
    key: Annotated[KeyExpression | None, Field(description="Counted apart per value of this.")] = None


class Debounce(Part):
    """Start one run with the last event once none came for `period`."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                duration_at_most("period", "timeout"),
                "debounce.timeout must not be shorter than debounce.period",
                field_path=".timeout",
            )
        )
    )

    period: Annotated[Duration, Field(description="Quiet time after which the run starts.")]
    key: Annotated[KeyExpression | None, Field(description="Debounced apart per value of this.")] = None
    timeout: Annotated[Duration | None, Field(description="Longest time from the first event to the start.")] = None


class Batch(Part):
    """Gather events and start one run with the list of them as event.data."""

    max_size: Annotated[
        int,
        Field(ge=1, le=1000, json_schema_extra={"format": "int32"}, description="Events that close a batch at once."),
    ]
    timeout: Annotated[Duration, Field(description="Time after the first event at which the batch is closed.")]
    key: Annotated[KeyExpression | None, Field(description="Gathered apart per value of this.")] = None


class Singleton(Part):
    """At most one active run per value of `key`."""

    key: Annotated[KeyExpression | None, Field(description="One active run per value of this. Absent: one in all.")] = (
        None
    )
    mode: Annotated[
        Literal["Skip", "Cancel"],
        Field(description="When one is active: Skip drops the new run, Cancel cancels the old one."),
    ]


class CancelOn(Part):
    """Cancel active runs when an event comes."""

    event: Annotated[EventName, Field(description="Name of the event that cancels.")]
    match: Annotated[
        Json | None,
        Field(
            json_schema_extra=free_object(16),
            description="Only where the event's data contains this; values may be ${{ }} over the run's input.",
        ),
    ] = None


class Idempotency(Part):
    """Start one run per key and window; repeats are answered with the first run."""

    key: Annotated[
        KeyExpression, Field(description="A path into the event's data (orderId) or CEL (event.data.orderId).")
    ]
    window: Annotated[Duration | None, Field(description="How long the key answers repeats. Absent: 24h.")] = None
