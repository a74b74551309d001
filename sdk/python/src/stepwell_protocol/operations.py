"""What a handler can report: the closed union `Operation`, one frozen class per operation of the wire.

Payloads (`data`, `match`, `input`, …) are JSON bytes, because they are stored and passed on exactly as they were
received; whoever needs the value parses them. Version 1 knows `StepDone`, `SleepUntil`, `WaitFor`, `Done` and the error
operation; the rest came with version 2. The error operation of version 1 reads as `StepFailed` when it names a step and
as `RunError` when it does not.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from stepwell_protocol import limits


@dataclass(frozen=True, slots=True)
class ErrorData:
    """An error as data: shown, never executed. `retry_after` is in seconds."""

    name: str
    message: str
    stack: str | None = None
    retryable: bool = True
    retry_after: float | None = None

    def capped(self) -> "ErrorData":
        """The same error with each text cut to its limit."""
        if (
            len(self.name) <= limits.ERROR_NAME_CHARS
            and len(self.message) <= limits.ERROR_MESSAGE_CHARS
            and (self.stack is None or len(self.stack) <= limits.ERROR_STACK_CHARS)
        ):
            return self
        return ErrorData(
            name=_cut(self.name, limits.ERROR_NAME_CHARS),
            message=_cut(self.message, limits.ERROR_MESSAGE_CHARS),
            stack=None if self.stack is None else _cut(self.stack, limits.ERROR_STACK_CHARS),
            retryable=self.retryable,
            retry_after=self.retry_after,
        )


class StepDone(NamedTuple):
    """A step ran and gave `data`; `ms` is how long its own code took, where the app measured it."""

    id: str
    data: bytes
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class SleepUntil:
    """The run sleeps until an instant."""

    id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class WaitFor:
    """The run waits for an event whose data contains `match` (a JSON object), at most until an instant."""

    id: str
    event: str
    match: bytes | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The handler returned `data`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StepFailed:
    """An attempt of a step failed."""

    id: str
    error: ErrorData
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class RunError:
    """The handler failed outside any step."""

    error: ErrorData


@dataclass(frozen=True, slots=True)
class InvokeRun:
    """Start a child run of `target`, and wait for it unless `detached`."""

    id: str
    target: str
    input: bytes
    detached: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """The run waits for a signal, at most until an instant."""

    id: str
    signal: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event of a `SendEvent`."""

    name: str
    data: bytes
    id: str | None = None


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Send events in the same commit that journals the step."""

    id: str
    events: tuple[SentEvent, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run has come, for people."""

    current: float
    total: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the run's log."""

    level: str
    message: str


@dataclass(frozen=True, slots=True)
class Continue:
    """The time of this call is used up and there is more to do: call again at once."""


Operation = (
    StepDone
    | SleepUntil
    | WaitFor
    | Done
    | StepFailed
    | RunError
    | InvokeRun
    | Signal
    | SendEvent
    | Progress
    | Log
    | Continue
)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
