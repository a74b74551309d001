"""Schedule: starts runs of a Function or Workflow at the instants of a cron expression or an interval."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .schema import AnyJson, Duration, Part, ResourceName, exactly_one_of, rule, rules
from .status import Status
from .triggers import CRON_DESCRIPTION, TIME_ZONE_DESCRIPTION, CronExpression, TimeZone


class TargetReference(Part):
    """What is started."""

    kind: Annotated[Literal["Function", "Workflow"], Field(description="Function or Workflow.")]
    name: Annotated[ResourceName, Field(description="Name of it, in the same namespace.")]


class ScheduleSpec(Part):
    """When to start which definition, and with what input."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                exactly_one_of("schedule", "every"),
                "set exactly one of schedule (cron, such as 0 3 * * *) and every (a duration, such as 20s)",
            ),
            rule(
                "!has(self.timeZone) || has(self.schedule)",
                "timeZone goes with schedule; every has no time zone",
                field_path=".timeZone",
            ),
        )
    )

    target_ref: Annotated[
        TargetReference, Field(description="The Function or Workflow to start, in the same namespace.")
    ]
    schedule: Annotated[CronExpression | None, Field(description=CRON_DESCRIPTION)] = None
    every: Annotated[Duration | None, Field(description="Interval between starts, such as 20s or 1h.")] = None
    time_zone: Annotated[TimeZone | None, Field(description=TIME_ZONE_DESCRIPTION)] = None
    input: Annotated[AnyJson, Field(description="Input of the runs. Absent: null.")] = None
    concurrency_policy: Annotated[
        Literal["Allow", "Forbid", "Replace"] | None,
        Field(
            description=(
                "When the previous run is still active. Allow: start another (default). Forbid: skip this instant."
                " Replace: cancel the old run and start."
            )
        ),
    ] = None
    starting_deadline: Annotated[
        Duration | None,
        Field(description="An instant that could not be started within this time is skipped. Absent: no limit."),
    ] = None
    jitter: Annotated[Duration | None, Field(description="Spread starts at random over this time. Absent: none.")] = (
        None
    )
    catch_up: Annotated[
        Literal["None", "One"] | None,
        Field(
            description=(
                "After downtime. None: go on with the next instant (default). One: start once for all that were missed."
            )
        ),
    ] = None
    suspend: Annotated[bool | None, Field(description="true: nothing is started. Absent: false.")] = None


class ScheduleStatus(Status):
    """When it started a run and when it will."""

    last_schedule_time: Annotated[
        str | None,
        Field(json_schema_extra={"format": "date-time"}, description="The last instant for which a run was started."),
    ] = None
    next_schedule_time: Annotated[
        str | None,
        Field(json_schema_extra={"format": "date-time"}, description="The next instant. Absent while suspended."),
    ] = None
    last_run: Annotated[ResourceName | None, Field(description="Name of the last run it started.")] = None
