"""What a step's code can know of the step it runs in: `current_step()`."""

import logging
from contextvars import ContextVar
from typing import Final, NamedTuple

from stepwell.errors import Mistake

log: Final = logging.getLogger("stepwell")


class CurrentStep(NamedTuple):
    """The step that is running.

    `idempotency_key` names (run, step, occurrence) and is the same on every attempt and after every crash: hand it to
    services that know idempotency keys. `token` rises with every lease of the run: hand it to those that can fence off
    an older one.
    """

    run_id: str
    id: str
    attempt: int
    token: int | None

    @property
    def idempotency_key(self) -> str:
        """The same on every attempt of this step, and no other step's."""
        return idempotency_key(self.run_id, step=self.id)

    @property
    def logger(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger that says which run and step."""
        return logging.LoggerAdapter(log, {"run_id": self.run_id, "step": self.id, "attempt": self.attempt})


def idempotency_key(run_id: str, *, step: str) -> str:
    """The idempotency key of a step by its id."""
    return f"{run_id}/{step}"


running: Final[ContextVar[CurrentStep | None]] = ContextVar("stepwell_step", default=None)


def current_step() -> CurrentStep:
    """The step whose code is running.

    Raises:
        Mistake: no step is running here.
    """
    found = running.get()
    if found is None:
        raise Mistake("current_step() is for code that runs inside a step: call it in the function given to step.run")
    return found
