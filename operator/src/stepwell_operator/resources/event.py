"""StepwellEvent: an event sent to an app with kubectl; stored once, then it starts what it triggers."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .references import AppReference
from .schema import AnyJson, EventName, Part, ResourceName, atomic, rule, rules
from .status import Status


class StepwellEventSpec(Part):
    """An event. Immutable: send another one instead of changing it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self == oldSelf", "an event can't be changed once sent: create another StepwellEvent"),
        )
    )

    app_ref: Annotated[AppReference, Field(description="The StepwellApp it is sent to, in the same namespace.")]
    name: Annotated[EventName, Field(description="Name of the event, such as order.placed.")]
    data: Annotated[AnyJson, Field(description="What the event says: any JSON. Absent: null.")] = None
    id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description=(
                "Deduplicates: an event with the id of an earlier one is answered with that one's runs. Absent:"
                " metadata.uid. Set it under GitOps, where a deleted object would be applied, and sent, again."
            ),
        ),
    ] = None
    ttl_seconds_after_accepted: Annotated[
        int | None,
        Field(
            ge=0,
            le=31_536_000,
            json_schema_extra={"format": "int32"},
            description="Delete the object so many seconds after the event was stored. Absent: it is kept.",
        ),
    ] = None


class StepwellEventStatus(Status):
    """Where the event is on record and what it started."""

    event_id: Annotated[str | None, Field(max_length=64, description="Id of the event in the engine.")] = None
    accepted_at: Annotated[
        str | None,
        Field(json_schema_extra={"format": "date-time"}, description="When the event was found to be stored."),
    ] = None
    duplicate: Annotated[
        bool | None,
        Field(description="true: an event with this id was there already, and the runs are those it started."),
    ] = None
    runs: Annotated[
        list[ResourceName] | None,
        Field(json_schema_extra=atomic(64), description="Names of the runs it started, at most 64 of them."),
    ] = None
