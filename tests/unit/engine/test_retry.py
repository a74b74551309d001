"""How long to wait between attempts, and when to give up."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_engine.retry import (
    INFRASTRUCTURE,
    Backoff,
    GiveUp,
    Growth,
    RetryAfter,
    RetryPolicy,
    backoff,
    decide,
    infrastructure_backoff,
)

spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30))
policies = st.builds(
    lambda growth, one, other: Backoff(growth=growth, initial=min(one, other), maximum=max(one, other)),
    st.sampled_from(Growth),
    spans,
    spans,
)


def seconds(policy: Backoff, attempts: int) -> list[float]:
    return [backoff(policy, attempt=attempt).total_seconds() for attempt in range(1, attempts + 1)]


@pytest.mark.parametrize(
    ("growth", "waits"),
    [
        (Growth.EXPONENTIAL, [1, 2, 4, 8, 10, 10]),
        (Growth.LINEAR, [1, 2, 3, 4, 5, 6]),
        (Growth.CONSTANT, [1, 1, 1, 1, 1, 1]),
    ],
)
def test_waits_grow_as_the_policy_says(growth: Growth, waits: list[int]) -> None:
    policy = Backoff(growth=growth, initial=timedelta(seconds=1), maximum=timedelta(seconds=10))
    assert seconds(policy, 6) == waits


@given(policies, st.integers(1, 10_000))
def test_waits_never_shrink_and_never_pass_the_maximum(policy: Backoff, attempt: int) -> None:
    one, next_one = (backoff(policy, attempt=number) for number in (attempt, attempt + 1))
    assert timedelta(0) <= one <= next_one <= policy.maximum


@given(policies, st.integers(1, 100), st.floats(0, 1))
def test_jitter_takes_off_a_fifth_at_most(policy: Backoff, attempt: int, jitter: float) -> None:
    full = backoff(policy, attempt=attempt)
    assert full * 0.8 - timedelta(microseconds=1) <= backoff(policy, attempt=attempt, jitter=jitter) <= full


def test_trouble_with_the_infrastructure_backs_off_to_its_own_cap() -> None:
    waits = [infrastructure_backoff(failures=failures) for failures in range(1, 20)]
    assert all(one <= other for one, other in pairwise(waits))
    assert waits[0] == INFRASTRUCTURE.initial
    assert waits[-1] == INFRASTRUCTURE.maximum


def test_the_apps_own_wish_lengthens_a_wait_but_never_shortens_it() -> None:
    assert infrastructure_backoff(failures=1, retry_after=timedelta(seconds=90)) == timedelta(seconds=90)
    assert infrastructure_backoff(failures=9, retry_after=timedelta(0)) == INFRASTRUCTURE.maximum
    wish = decide(RetryPolicy(), attempts_used=1, retry_after=timedelta(minutes=5))
    assert wish == RetryAfter(timedelta(minutes=5))


def test_a_wish_for_years_is_cut_to_a_day() -> None:
    assert infrastructure_backoff(failures=1, retry_after=timedelta(days=9999)) == timedelta(days=1)


def test_attempts_are_counted_with_the_first() -> None:
    policy = RetryPolicy(max_attempts=3)
    assert decide(policy, attempts_used=1) == RetryAfter(timedelta(seconds=1))
    assert decide(policy, attempts_used=2) == RetryAfter(timedelta(seconds=2))
    assert decide(policy, attempts_used=3) == GiveUp("all 3 attempts are used up")
    assert isinstance(decide(RetryPolicy(max_attempts=1), attempts_used=1), GiveUp)


def test_an_error_that_is_not_retryable_ends_it_at_once() -> None:
    assert decide(RetryPolicy(max_attempts=99), attempts_used=1, retryable=False) == GiveUp(
        "the error is not retryable"
    )
