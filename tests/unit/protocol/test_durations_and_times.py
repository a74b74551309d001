"""Durations and instants as they are written on the wire."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_protocol.durations import PATTERN, InvalidDuration, format_duration, parse_duration
from stepwell_protocol.times import InvalidTime, format_time, from_unix_ms, parse_time, to_unix_ms


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("1h30m", timedelta(minutes=90)),
        ("1m250ms", timedelta(minutes=1, milliseconds=250)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_read(text: str, value: timedelta) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    "text", ["", "5", "-5s", "1.5h", "5 s", "5S", "30m1h", "1s1s", "5w", "\u0665s", "s", "5s ", 5, None]
)
def test_what_is_no_duration_is_refused_with_examples(text: object) -> None:
    with pytest.raises(InvalidDuration, match='such as "250ms", "90s" or "1h30m"'):
        parse_duration(text)


def test_a_duration_beyond_a_century_is_refused() -> None:
    for text in ("36501d", "999999999d"):
        with pytest.raises(InvalidDuration, match="longest"):
            parse_duration(text)


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)).map(lambda each: each - each % timedelta(milliseconds=1)))
def test_what_is_written_reads_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


def test_a_duration_is_written_in_its_largest_whole_unit() -> None:
    assert format_duration(timedelta(seconds=5400)) == "90m"
    with pytest.raises(InvalidDuration):
        format_duration(timedelta(microseconds=1))
    with pytest.raises(InvalidDuration):
        format_duration(timedelta(seconds=-1))


def test_the_published_pattern_accepts_durations() -> None:
    assert re.fullmatch(PATTERN, "1h30m")
    assert not re.fullmatch(PATTERN, "1.5h")


def test_a_time_is_written_in_utc_with_milliseconds() -> None:
    amsterdam = timezone(timedelta(hours=2))
    assert format_time(datetime(2026, 7, 5, 11, tzinfo=amsterdam)) == "2026-07-05T09:00:00.000Z"


def test_a_time_is_rounded_up_so_that_no_timer_fires_early() -> None:
    assert format_time(datetime(2026, 7, 5, 9, 0, 59, 999_001, tzinfo=UTC)) == "2026-07-05T09:01:00.000Z"
    assert to_unix_ms(datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 1


@pytest.mark.parametrize(
    "text", ["2026-07-05", "2026-07-05T09:00:00", "2026-13-05T09:00:00Z", "now", 12, None, "9999-12-31T23:59:59-14:00"]
)
def test_what_is_no_instant_is_refused(text: object) -> None:
    with pytest.raises(InvalidTime, match="RFC 3339"):
        parse_time(text)


def test_a_time_without_zone_cannot_be_written() -> None:
    with pytest.raises(InvalidTime, match="no time zone"):
        format_time(datetime(2026, 7, 5))  # noqa: DTZ001


@given(st.timedeltas(timedelta(0), timedelta(days=2_500_000)))
def test_a_time_reads_back_to_the_millisecond(since: timedelta) -> None:
    value = datetime(1970, 1, 1, tzinfo=UTC) + since
    back = parse_time(format_time(value))
    assert timedelta(0) <= back - value < timedelta(milliseconds=1)
    assert from_unix_ms(to_unix_ms(value)) == back
