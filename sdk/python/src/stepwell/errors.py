"""The errors of the SDK.

    StepwellError
    ├─ NonRetryable         raise it: another attempt would not help
    │  ├─ Mistake           the code uses the SDK in a way that cannot work; says where, and what to write instead
    │  └─ StepFailed        a step failed for good; raised into the handler, which may catch it
    ├─ RetryAfter           raise it: try again, but not before
    ├─ ConfigurationError   an address, id or key is missing or cannot be read
    └─ RequestFailed        the client got no good answer from the engine
       ├─ RequestRefused    the engine said no; `status` and `problem` say why
       └─ EngineUnreachable nobody answered in time; whether the request counted is told in `may_have_counted`

`Interrupt` is not an error: it ends a handler whose call can bring nothing more. It derives from BaseException so that
`except Exception` in a handler does not swallow it, and never reaches users.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from stepwell_protocol.wire import ErrorData


class StepwellError(Exception):
    """Anything the SDK raises."""


class NonRetryable(StepwellError):
    """Raise it, or a subclass, in a step or handler when another attempt would not help."""


class Mistake(NonRetryable):
    """The code uses the SDK in a way that cannot work."""


class StepFailed(NonRetryable):
    """A step failed for good: its attempts are used up, or its error was not worth another.

    `step` is the step's id; `name`, `message` and `stack` are those of the error that the step raised.
    """

    def __init__(self, step: str, error: ErrorData) -> None:
        super().__init__(f"step {step!r} failed: {error.name}: {error.message}")
        self.step = step
        self.name = error.name
        self.message = error.message
        self.stack = error.stack


class RetryAfter(StepwellError):
    """Raise it in a step or handler to be tried again, but not before `delay` (seconds or a timedelta) has passed."""

    def __init__(self, delay: float | timedelta, message: str = "asked to be tried again later") -> None:
        super().__init__(message)
        self.seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)


class ConfigurationError(StepwellError):
    """The app or client lacks an address, an id or a key."""


class RequestFailed(StepwellError):
    """The engine gave no good answer."""


class RequestRefused(RequestFailed):
    """The engine refused the request. `problem` is its problem document (RFC 9457)."""

    def __init__(self, message: str, *, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem


class EngineUnreachable(RequestFailed):
    """The engine did not answer. `may_have_counted` is False when nothing was sent."""

    def __init__(self, message: str, *, may_have_counted: bool) -> None:
        super().__init__(message)
        self.may_have_counted = may_have_counted


class Interrupt(BaseException):
    """Ends a handler whose call can bring nothing more."""
