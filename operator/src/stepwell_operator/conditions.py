"""From facts to conditions: pure, one place for every kind.

A handler states facts (`Fact`), one per detail condition. `conditions` adds Ready, which follows the first fact that is
not True in the order Accepted, ResolvedRefs, Registered, EndpointReachable; adds the abnormal-true Reconciling (not
there yet) and Stalled (will not get there without a change by somebody) that kstatus reads; and keeps
lastTransitionTime where a status did not change. Equal facts give equal conditions, so that a no-op is seen as one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from .objects import Json

MESSAGE_CHARACTERS = 4000

ConditionStatus = Literal["True", "False", "Unknown"]


class Type(StrEnum):
    """The detail conditions, in the order in which they decide about Ready."""

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    REGISTERED = "Registered"
    ENDPOINT_REACHABLE = "EndpointReachable"


@dataclass(frozen=True, slots=True)
class Fact:
    """One detail condition. `counts`: whether it decides about Ready; `permanent`: it stays until somebody acts."""

    type: Type
    status: ConditionStatus
    reason: str
    message: str = ""
    counts: bool = True
    permanent: bool = False


def true(type: Type, reason: str, message: str = "") -> Fact:
    return Fact(type, "True", reason, message)


def false(type: Type, reason: str, message: str, *, permanent: bool = False, counts: bool = True) -> Fact:
    return Fact(type, "False", reason, message, permanent=permanent, counts=counts)


def unknown(type: Type, reason: str, message: str, *, counts: bool = True) -> Fact:
    return Fact(type, "Unknown", reason, message, counts=counts)


def conditions(
    facts: Iterable[Fact], *, generation: int, before: Sequence[Json], now: datetime, ready: str = "Ready"
) -> list[Json]:
    """The whole list of conditions. `ready` is the reason of Ready when nothing stands against it."""
    ordered = sorted(facts, key=lambda fact: list(Type).index(fact.type))
    blocking = next((fact for fact in ordered if fact.counts and fact.status != "True"), None)
    earlier = {condition["type"]: condition for condition in before}
    made = [_condition(f.type, f.status, f.reason, f.message, generation, earlier, now) for f in ordered]
    if blocking is None:
        summary = _condition("Ready", "True", ready, "", generation, earlier, now)
    else:
        summary = _condition("Ready", blocking.status, blocking.reason, blocking.message, generation, earlier, now)
    extra: list[Json] = []
    if blocking is not None and blocking.permanent:
        extra.append(_condition("Stalled", "True", blocking.reason, blocking.message, generation, earlier, now))
    elif blocking is not None:
        extra.append(_condition("Reconciling", "True", blocking.reason, blocking.message, generation, earlier, now))
    return [summary, *made, *extra]


def timestamp(moment: datetime) -> str:
    """As Kubernetes writes times: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition_status(obj: Json, type: str) -> str | None:
    """The status of one condition of an object; None when it has none."""
    for condition in (obj.get("status") or {}).get("conditions", ()):
        if condition["type"] == type:
            return str(condition["status"])
    return None


def _condition(
    type: str,
    status: str,
    reason: str,
    message: str,
    generation: int,
    earlier: dict[str, Json],
    now: datetime,
) -> Json:
    before = earlier.get(type)
    since = before["lastTransitionTime"] if before is not None and before["status"] == status else timestamp(now)
    if len(message) > MESSAGE_CHARACTERS:
        message = message[: MESSAGE_CHARACTERS - 1] + "…"
    return {
        "type": str(type),
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }
