"""Definitions as values. Made by the parsers only, which have checked everything that can be known without data.

Texts that may hold templates stay texts (`${{ input.orderId }}`) and are rendered when the step starts. A field of type
`timedelta | str` is a duration, or a template that must give one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from ..cron import Cron, Timetable
from ..expressions import compile_expression
from ..retry import RetryPolicy
from ..schemas import InputSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTrigger:
    name: str
    condition: str | None = None

    def accepts(self, event: Mapping[str, Any]) -> bool:
        """Whether an event {"id", "name", "data"} of this name starts a run.

        Raises:
            ExpressionError: the condition doesn't fit the event's data.
        """
        if self.condition is None:
            return True
        expression = compile_expression(self.condition, roots=("event",))
        return expression.condition({"event": event}, path="event.if")


@dataclass(frozen=True, slots=True, kw_only=True)
class CronTrigger:
    cron: Cron


Trigger = EventTrigger | CronTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """`step` of one call (absent: the app's own), `start` from creation to the first call, `run` from creation to the
    end."""

    step: timedelta | None = None
    start: timedelta | None = None
    run: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    name: str
    handler: str
    triggers: tuple[Trigger, ...] = ()
    input_schema: InputSchema | None = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    priority: int = 0
    suspend: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call a handler of the app."""

    handler: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Kubernetes Service in the workflow's namespace."""

    name: str
    port: int
    path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """Send an HTTP request. Exactly one of `service` and `url`. `expect` empty: any 2xx will do."""

    service: Service | None = None
    url: str | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    expect: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    branches: tuple["Step", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Exactly one of `duration` (the manifest's `for`) and `until` (RFC 3339)."""

    duration: timedelta | str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForEvent:
    """Without `timeout` it waits as long as the run may."""

    event: str
    match: Any = None
    timeout: timedelta | str | None = None


Body = Call | Http | Parallel | Sleep | WaitForEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation:
    """How a completed step is undone. `input` None: the step's own input and result, {"input", "output"}."""

    body: Call | Http
    input: Any = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `path` is its place in the document, for messages; `input` is the manifest's `with`."""

    name: str
    path: str
    body: Body
    condition: str | None = None
    input: Any = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta | str | None = None
    compensate: Compensation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSpec:
    name: str
    steps: tuple[Step, ...]
    triggers: tuple[Trigger, ...] = ()
    input_schema: InputSchema | None = None
    output: Any = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    priority: int = 0
    suspend: bool = False

    def walk(self) -> Iterator[Step]:
        """Every step, nested ones behind the one that holds them: plan order."""
        return _walk(self.steps)


class ConcurrencyPolicy(StrEnum):
    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class CatchUp(StrEnum):
    NONE = "None"
    ONE = "One"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRef:
    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    target: TargetRef
    timetable: Timetable
    input: Any = None
    concurrency_policy: ConcurrencyPolicy = ConcurrencyPolicy.ALLOW
    starting_deadline: timedelta | None = None
    jitter: timedelta = timedelta(0)
    catch_up: CatchUp = CatchUp.NONE
    suspend: bool = False


def _walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step.body, Parallel):
            yield from _walk(step.body.branches)
