"""What starts a run: events, cron, HTTP, the completion of another definition."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .schema import EventName, Expression, Part, ResourceName, exactly_one_of, rule, rules

CronExpression = Annotated[str, Field(min_length=9, max_length=256)]
TimeZone = Annotated[str, Field(min_length=1, max_length=64)]

CRON_DESCRIPTION = (
    "Cron expression of 5 fields (minute hour day-of-month month day-of-week), such as 0 3 * * *, or of 6 with seconds"
    " in front."
)
TIME_ZONE_DESCRIPTION = "IANA time zone in which schedule is read, such as Europe/Amsterdam. Absent: UTC."


class EventTrigger(Part):
    """Start a run for each event of this name."""

    name: Annotated[EventName, Field(description="Name of the event, such as order.placed.")]
    if_: Annotated[
        Expression | None,
        Field(
            alias="if",
            description="CEL over event; only events for which it is true, such as event.data.plan == 'pro'.",
        ),
    ] = None


class CronTrigger(Part):
    """Start a run at the instants of a cron expression."""

    schedule: Annotated[CronExpression, Field(description=CRON_DESCRIPTION)]
    time_zone: Annotated[TimeZone | None, Field(description=TIME_ZONE_DESCRIPTION)] = None


class HttpTrigger(Part):
    """Start a run for each HTTP request on a path of the gateway."""

    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        Field(description="HTTP method of the requests that start a run."),
    ]
    path: Annotated[str, Field(pattern=r"^/[^\s?#]*$", max_length=512, description="Path below /t/<namespace>/<app>.")]
    response: Annotated[
        Literal["Wait", "Accepted"] | None,
        Field(description="Wait: answer with the run's output. Accepted: answer 202 at once. Absent: Accepted."),
    ] = None


class CompletionTarget(Part):
    """The definition whose runs are watched."""

    kind: Annotated[Literal["Function", "Workflow"], Field(description="Function or Workflow.")]
    name: Annotated[ResourceName, Field(description="Name of it, in the same namespace.")]


class CompletionTrigger(Part):
    """Start a run when a run of another definition ends."""

    of: Annotated[CompletionTarget, Field(description="The definition whose runs are watched.")]
    outcomes: Annotated[
        list[Literal["Completed", "Failed", "Cancelled"]] | None,
        Field(
            min_length=1,
            max_length=3,
            json_schema_extra={"x-kubernetes-list-type": "set"},
            description="Which ends count. Absent: Completed.",
        ),
    ] = None


class Trigger(Part):
    """One way to start a run: exactly one of event, cron, http and completion."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                exactly_one_of("event", "cron", "http", "completion"),
                "a trigger is exactly one of event, cron, http and completion: give each its own list item",
            )
        )
    )

    event: Annotated[EventTrigger | None, Field(description="Start a run for each event of a name.")] = None
    cron: Annotated[CronTrigger | None, Field(description="Start a run at the instants of a cron expression.")] = None
    http: Annotated[HttpTrigger | None, Field(description="Start a run for each HTTP request on a path.")] = None
    completion: Annotated[
        CompletionTrigger | None, Field(description="Start a run when a run of another definition ends.")
    ] = None


TRIGGERS_DESCRIPTION = (
    "What starts a run: up to 16 entries, each an event, a cron expression, an HTTP path or the completion of another"
    " definition. Empty or absent: only starts by hand, by a Schedule or as a child, which are always possible."
)
