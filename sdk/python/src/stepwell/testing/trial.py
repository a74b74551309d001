"""A run in a sandbox, and what can be read of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import pydantic_core

from stepwell.handlers import Handler
from stepwell_protocol.wire import ErrorData, Event

O = TypeVar("O")  # noqa: E741 - a handler's output

#: Under this name a run waits whose handler failed outside of any step.
WHOLE_RUN = "$run"


class TrialFailed(AssertionError):
    """The run failed; `error` says how."""

    def __init__(self, run: "Trial[Any]") -> None:
        error = run.error or ErrorData("Error", run.status)
        super().__init__(f"the run {run.status}: {error.name}: {error.message}\n{error.stack or ''}")
        self.error = error


class TrialWaits(AssertionError):
    """The run waits for something that only an event can bring."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for: a time, an event, or both. `kind` is sleep, wait or retry."""

    kind: str
    due: float | None
    event: str | None = None
    match: bytes | None = None


@dataclass(frozen=True, slots=True)
class TrialStep:
    """A step of a run: its kind, result or error, and how many attempts it took."""

    id: str
    type: str
    data: Any
    error: ErrorData | None
    attempts: int


@dataclass(slots=True)
class Entry:
    """A journaled result."""

    type: str
    data: bytes | None = None
    error: ErrorData | None = None


@dataclass(slots=True)
class Journal:
    """A run as the sandbox keeps it."""

    id: str
    handler: Handler
    event: Event
    input: bytes
    max_attempts: int
    pause: Callable[[int], float]
    entries: dict[str, Entry] = field(default_factory=dict)
    waits: dict[str, Wait] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    status: str = "active"
    output: bytes = b"null"
    error: ErrorData | None = None
    seq: int = 0
    calls: int = 0


class Trial(Generic[O]):
    """A run in a sandbox."""

    def __init__(self, journal: Journal, finish: Callable[[Journal], Awaitable[None]]) -> None:
        self._journal = journal
        self._finish = finish

    @property
    def id(self) -> str:
        """The run's id."""
        return self._journal.id

    @property
    def status(self) -> str:
        """active, paused, completed or failed."""
        return self._journal.status

    @property
    def error(self) -> ErrorData | None:
        """What a failed or paused run stopped with."""
        return self._journal.error

    @property
    def output(self) -> O:
        """What a completed run returned, in the type it is annotated with.

        Raises:
            TrialFailed: it did not complete.
        """
        if self.status != "completed":
            raise TrialFailed(self)
        output: O = self._journal.handler.output.load(self._journal.output)
        return output

    @property
    def steps(self) -> dict[str, TrialStep]:
        """The steps that have ended, in the order of the journal."""
        return {
            step: TrialStep(
                step,
                entry.type,
                None if entry.data is None else pydantic_core.from_json(entry.data),
                entry.error,
                self._journal.attempts.get(step, 0) + (entry.error is None),
            )
            for step, entry in self._journal.entries.items()
        }

    @property
    def waiting_for(self) -> str | None:
        """The event it waits for, or None."""
        return next((wait.event for wait in self._journal.waits.values() if wait.event is not None), None)

    @property
    def sleeping_until(self) -> datetime | None:
        """The time of its next timer (a sleep, the end of a wait, a retry), or None."""
        due = [wait.due for wait in self._journal.waits.values() if wait.due is not None]
        return datetime.fromtimestamp(min(due), UTC) if due and self.status == "active" else None

    @property
    def calls(self) -> int:
        """How many times the app was called for it."""
        return self._journal.calls

    async def result(self) -> O:
        """Let time pass until the run has ended, and give its output.

        Raises:
            TrialFailed: it failed, or was paused.
            TrialWaits: it waits for an event without an end, which must be sent first.
        """
        await self._finish(self._journal)
        return self.output

    def __repr__(self) -> str:
        return f"<Trial {self._journal.handler.name} {self.status}, {len(self._journal.entries)} steps>"
