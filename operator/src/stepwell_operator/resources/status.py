"""The status that every kind shares: conditions in Kubernetes' standard form and `observedGeneration`."""

from typing import Annotated, Literal

from pydantic import Field

from .schema import Part

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(Part):
    """One fact about the object, in Kubernetes' standard form."""

    type: Annotated[
        str,
        Field(
            max_length=316,
            description="What the condition is about, in CamelCase, such as Ready or Accepted.",
        ),
    ]
    status: Annotated[ConditionStatus, Field(description="True, False or Unknown.")]
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            description="One CamelCase word for why; part of the API, safe to match on.",
        ),
    ]
    message: Annotated[str, Field(max_length=32768, description="For people: what is the case and what to do.")] = ""
    observed_generation: Annotated[
        int, Field(ge=0, json_schema_extra={"format": "int64"}, description="The metadata.generation this is about.")
    ] = 0
    last_transition_time: Annotated[
        str, Field(json_schema_extra={"format": "date-time"}, description="When status last changed.")
    ]


class Status(Part):
    """What the operator reports."""

    observed_generation: Annotated[
        int | None,
        Field(
            ge=0,
            json_schema_extra={"format": "int64"},
            description=(
                "The metadata.generation that this status is about. Older than metadata.generation: not handled yet."
            ),
        ),
    ] = None
    conditions: Annotated[
        list[Condition] | None,
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
            description=(
                "Facts about the object. Ready is always there and sums up the others: `kubectl wait"
                " --for=condition=Ready` works for every kind. Accepted: the spec can be taken as it is. ResolvedRefs:"
                " everything it names exists. Registered: it is in force in the engine. Reconciling and Stalled are"
                " there only while true."
            ),
        ),
    ] = None
