"""How often a step is tried, and how long to wait in between.

Two different things wait here. A *step's* backoff follows its policy and uses up attempts. The *infrastructure's*
backoff (the app unreachable, answering 503, a lost lease) uses none: it goes on, capped, until the run's own timeout.
Nothing here draws random numbers or reads a clock: jitter comes in as an argument between 0 and 1.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Growth(StrEnum):
    EXPONENTIAL = "Exponential"
    LINEAR = "Linear"
    CONSTANT = "Constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """`initial` before the second attempt, never more than `maximum` before any."""

    growth: Growth = Growth.EXPONENTIAL
    initial: timedelta = timedelta(seconds=1)
    maximum: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`max_attempts` counts the first attempt too: 1 means no retry."""

    max_attempts: int = 3
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again after `delay`."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The step has failed for good. `reason` completes the sentence "it was not tried again because …"."""

    reason: str


INFRASTRUCTURE: Final = Backoff(initial=timedelta(milliseconds=500), maximum=timedelta(seconds=30))
LONGEST_RETRY_AFTER: Final = timedelta(days=1)
_JITTER_SHARE: Final = 0.2


def backoff(policy: Backoff, *, attempt: int, jitter: float = 0.0) -> timedelta:
    """The wait after failed attempt number `attempt` (from 1).

    Grows with the attempt and never passes `maximum`. Jitter takes off up to a fifth, so that many failures of one
    moment don't come back in one moment; with jitter the waits stay within 80 and 100 per cent of the full one.
    """
    if policy.growth is Growth.CONSTANT:
        full = policy.initial
    elif policy.growth is Growth.LINEAR:
        full = policy.maximum if attempt > policy.maximum / _positive(policy.initial) else policy.initial * attempt
    else:
        doublings = attempt - 1
        full = policy.maximum if doublings > 62 else _doubled(policy, doublings)
    full = min(full, policy.maximum)
    return full - full * (_JITTER_SHARE * jitter)


def infrastructure_backoff(*, failures: int, jitter: float = 0.0, retry_after: timedelta | None = None) -> timedelta:
    """The wait after the `failures`-th failure in a row that uses no attempt. The app's longer `retry_after` wins."""
    wait = backoff(INFRASTRUCTURE, attempt=failures, jitter=jitter)
    return max(wait, min(retry_after, LONGEST_RETRY_AFTER)) if retry_after is not None else wait


def decide(
    policy: RetryPolicy,
    *,
    attempts_used: int,
    retryable: bool = True,
    retry_after: timedelta | None = None,
    jitter: float = 0.0,
) -> RetryAfter | GiveUp:
    """What follows a failed attempt. `attempts_used` counts it; the app's `retry_after` only lengthens the wait."""
    if not retryable:
        return GiveUp("the error is not retryable")
    if attempts_used >= policy.max_attempts:
        return GiveUp(
            f"all {policy.max_attempts} attempts are used up" if policy.max_attempts > 1 else "it has one attempt"
        )
    wait = backoff(policy.backoff, attempt=attempts_used, jitter=jitter)
    if retry_after is not None:
        wait = max(wait, min(retry_after, LONGEST_RETRY_AFTER))
    return RetryAfter(wait)


def _positive(value: timedelta) -> timedelta:
    return max(value, timedelta(microseconds=1))


def _doubled(policy: Backoff, doublings: int) -> timedelta:
    factor = 2**doublings
    return policy.maximum if factor > policy.maximum / _positive(policy.initial) else policy.initial * factor
