"""What the driver of a workflow is asked to do. The contract stands in the package's docstring."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..definition import Service
from ..retry import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStep:
    """Call the app's handler. `attempt` counts from 1; `timeout` None: the app's own; `undoes`: the step it undoes."""

    step: str
    handler: str
    input: Any
    attempt: int
    retries: RetryPolicy
    timeout: timedelta | None
    undoes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStep:
    """Send a request to `url`, or to `service` (whose path is rendered already). `expect` empty: any 2xx will do."""

    step: str
    service: Service | None
    url: str | None
    method: str
    headers: Mapping[str, str]
    body: Any
    expect: tuple[int, ...]
    attempt: int
    retries: RetryPolicy
    timeout: timedelta | None
    undoes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSleep:
    step: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWait:
    """Wait for an event of this name whose data holds `match`. `until` None: as long as the run may."""

    step: str
    event: str
    match: Mapping[str, Any] | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipStep:
    """The step's `if` is false."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailStep:
    """The step can't be started: an expression of it failed on the data."""

    step: str
    error: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    output: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """`error` is the first failed step's, with `step`; `notCompensated` lists compensations that failed."""

    error: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """`error`: None, or the compensations that failed."""

    error: Mapping[str, Any] | None = None


Action = CallStep | HttpStep | StartSleep | StartWait | SkipStep | FailStep | Complete | Fail | Cancel


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """`compensating`: forward work is over and is being undone (the driver journals the first such answer)."""

    actions: tuple[Action, ...] = ()
    compensating: bool = False
