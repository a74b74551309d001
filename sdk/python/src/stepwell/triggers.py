"""What starts a function, and the policies it runs under, as values that become its definition document.

Each is checked as far as this side can where it is written; what only the engine can check (cron fields, time zones,
CEL) is refused by `sync` with the field's name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from stepwell.errors import Mistake
from stepwell_protocol.durations import InvalidDuration, format_duration, parse_duration

Duration = str | timedelta | float


@dataclass(frozen=True, slots=True)
class Event:
    """Start on every event of this name. `condition` is CEL over `event`, such as "event.data.plan == 'pro'"."""

    name: str
    condition: str | None = None

    def document(self) -> dict[str, Any]:
        """This trigger in a definition."""
        return {"event": _present(name=self.name) | ({"if": self.condition} if self.condition is not None else {})}


@dataclass(frozen=True, slots=True)
class Cron:
    """Start by a cron expression of 5 fields, or 6 with seconds, in an IANA time zone."""

    schedule: str
    time_zone: str = "UTC"

    def document(self) -> dict[str, Any]:
        """This trigger in a definition."""
        return {"cron": {"schedule": self.schedule, "timeZone": self.time_zone}}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `limit` executions at a time, for each value of `key` where there is one."""

    limit: int
    key: str | None = None

    def document(self) -> dict[str, Any]:
        """This limit in a definition."""
        return _present(limit=self.limit, key=self.key)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between attempts: growing from `initial` to at most `maximum`."""

    initial: Duration = "1s"
    maximum: Duration = "60s"
    growth: Literal["Exponential", "Linear", "Constant"] = "Exponential"

    def document(self) -> dict[str, Any]:
        """This backoff in a definition."""
        return {"type": self.growth, "initial": spelled(self.initial), "max": spelled(self.maximum)}


Trigger = Event | Cron


def definition(
    *,
    triggers: Sequence[Trigger],
    input_schema: Mapping[str, Any] | None,
    max_attempts: int | None,
    backoff: Backoff | None,
    step_timeout: Duration | None,
    start_timeout: Duration | None,
    run_timeout: Duration | None,
    concurrency: Sequence[Limit],
    priority: int | None,
) -> dict[str, Any]:
    """A function's definition document, without its id. What is not given is left out, so that the engine's defaults
    hold.

    Raises:
        Mistake: a duration cannot be read, or a policy is not one.
    """
    waits = None if backoff is None else _document(backoff, Backoff, name="backoff")
    return _present(
        triggers=[_document(trigger, Event, Cron, name="on") for trigger in triggers],
        input=None if input_schema is None else {"schema": dict(input_schema)},
        retries=_present(maxAttempts=max_attempts, backoff=waits) or None,
        timeouts=_present(step=spelled(step_timeout), start=spelled(start_timeout), run=spelled(run_timeout)) or None,
        concurrency=[_document(limit, Limit, name="concurrency") for limit in concurrency] or None,
        priority=priority,
    )


def spelled(duration: Duration | None) -> str | None:
    """A duration as a definition writes it.

    Raises:
        Mistake: it cannot be read.
    """
    if duration is None:
        return None
    try:
        if isinstance(duration, str):
            return format_duration(parse_duration(duration))
        return format_duration(duration if isinstance(duration, timedelta) else timedelta(seconds=duration))
    except InvalidDuration as error:
        raise Mistake(str(error)) from None


def _document(given: Any, *kinds: type[Event | Cron | Backoff | Limit], name: str) -> dict[str, Any]:
    if not isinstance(given, kinds):
        listed = " or ".join(f"{kind.__name__}(…)" for kind in kinds)
        raise Mistake(f"{name}: takes {listed}; got {given!r:.60}")
    document: dict[str, Any] = given.document()
    return document


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
