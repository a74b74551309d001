"""What a handler can know of its run, and of the events that reach it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from pydantic import JsonValue

from stepwell.current import idempotency_key, log, running
from stepwell.errors import Mistake
from stepwell.turn import Turn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReceivedEvent(Generic[T]):
    """An event that reached the run."""

    id: str
    name: str
    data: T


class RunContext:
    """What a handler can know of its run."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    @property
    def run_id(self) -> str:
        """The run's id; the same in every call."""
        return self._turn.invoke.run_id

    @property
    def event(self) -> ReceivedEvent[JsonValue]:
        """The event that started the run.

        Raises:
            Mistake: a workflow's step has no event; its input is the handler's second argument.
        """
        event = self._turn.invoke.event
        if event is None:
            raise Mistake("step.event is for functions: a workflow's step gets its input as the second argument")
        return ReceivedEvent(event.id, event.name, event.data)

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1: of the step that is running, or of a workflow's step."""
        inside, step = running.get(), self._turn.invoke.step
        if inside is not None:
            return inside.attempt
        return step.attempt if step is not None else 1

    @property
    def token(self) -> int | None:
        """Rises with every lease of the run, for services that can fence off an older one.

        None under version 1 of the wire.
        """
        return self._turn.call.token if self._turn.call else None

    @property
    def idempotency_key(self) -> str:
        """The running step's key, the same on every attempt.

        Raises:
            Mistake: no step is running. Before a step, `idempotency_key_of` gives its key.
        """
        inside, step = running.get(), self._turn.invoke.step
        if inside is not None:
            return inside.idempotency_key
        if step is not None:
            return idempotency_key(self.run_id, step=step.id)
        raise Mistake(
            "step.idempotency_key is the key of a running step, and none is running here: "
            "use step.idempotency_key_of('name'), or current_step().idempotency_key inside the step's code"
        )

    def idempotency_key_of(self, name: str) -> str:
        """The key of the step of this name (write `name#2` for its second use)."""
        return idempotency_key(self.run_id, step=name)

    @property
    def results(self) -> Mapping[str, JsonValue]:
        """For a workflow's step: the outputs of earlier steps by name."""
        return cast(Mapping[str, JsonValue], self._turn.invoke.results)

    @property
    def is_replaying(self) -> bool:
        """Whether the handler is still on ground that it covered in an earlier call."""
        return self._turn.replay.is_replaying

    @property
    def logger(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger that says which run, and is silent while the handler covers old ground."""
        return _ReplayAwareLogger(self._turn)


class _ReplayAwareLogger(logging.LoggerAdapter[logging.Logger]):
    def __init__(self, turn: Turn) -> None:
        super().__init__(log, {"run_id": turn.invoke.run_id})
        self._turn = turn

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's own name
        return not self._turn.replay.is_replaying and super().isEnabledFor(level)
