"""What can come of a call to an app.

Answered      signed and readable: the operations it holds
AttemptUsed   HTTP 500 and other statuses, unsigned, unparsable or endless 2xx, over its time: an attempt of the step's own
Illegal       well signed, but it says what can't be: the run fails
Unreached     no connection, 408, 425, 429, 502, 503, 504, or the app refused to start: no attempt is used up
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from stepwell_protocol import headers
from stepwell_protocol.client import Response
from stepwell_protocol.wire import ErrorData, Operation


@dataclass(frozen=True, slots=True)
class Answered:
    """`said_at`: the app's own time, in unix seconds; 0 when it says none."""

    ops: tuple[Operation, ...]
    said_at: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptUsed:
    error: ErrorData


@dataclass(frozen=True, slots=True)
class Illegal:
    error: ErrorData


@dataclass(frozen=True, slots=True)
class Unreached:
    """`may_have_started`: the app may have got the call, so it must not be repeated before the call's startBy. `reason` is what
    the run shows."""

    message: str
    retry_after: timedelta | None = None
    may_have_started: bool = True
    reason: str = "EndpointUnreachable"


Outcome = Answered | AttemptUsed | Illegal | Unreached

#: What says "not now", not "no".
TRY_LATER: Final = frozenset({408, 425, 429, 502, 503, 504})


def timed_out(seconds: float) -> AttemptUsed:
    """The call's time is up."""
    message = f"the app did not answer within {seconds:g} s (timeouts.step)"
    return AttemptUsed(ErrorData(name="StepTimedOut", message=message))


def try_later(url: str, status: int, response: Response | None = None) -> Unreached | None:
    """What a status comes to that says: not now. None for any other."""
    if status not in TRY_LATER:
        return None
    after = None if response is None else _retry_after(response.header(headers.RETRY_AFTER))
    return Unreached(f"{url}: HTTP {status}", retry_after=after, may_have_started=status in (408, 504))


def _retry_after(value: str | None) -> timedelta | None:
    """Delay in seconds (RFC 9110, 10.2.3); the date form is not used between programs and is ignored."""
    return timedelta(seconds=int(value)) if value and value.isascii() and value.isdigit() and len(value) < 7 else None
