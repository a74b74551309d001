"""When schedules are due, across clock changes; an oracle that reads the wall clock minute by minute has the last word."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell_engine.cron import (
    InvalidSchedule,
    Timetable,
    latest_until,
    missed,
    next_after,
    parse_cron,
    parse_every,
    zone_of,
)

ZONES = (
    "UTC",
    "Europe/Amsterdam",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Santiago",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Beirut",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def following(timetable: Timetable, after: datetime, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        after = next_after(timetable, after)
        found.append(after)
    return found


def test_a_wall_time_in_the_spring_gap_does_not_fire_that_day() -> None:
    cron = parse_cron("30 2 * * *", time_zone="Europe/Amsterdam")
    assert following(cron, at("2026-03-27T12:00+01:00"), 2) == [
        at("2026-03-28T02:30+01:00"),
        at("2026-03-30T02:30+02:00"),
    ]


def test_a_wall_time_that_the_autumn_repeats_fires_at_both_readings() -> None:
    cron = parse_cron("30 2 * * *", time_zone="Europe/Amsterdam")
    assert following(cron, at("2026-10-24T12:00+02:00"), 3) == [
        at("2026-10-25T02:30+02:00"),
        at("2026-10-25T02:30+01:00"),
        at("2026-10-26T02:30+01:00"),
    ]


def test_an_hourly_schedule_keeps_its_hour_across_both_changes() -> None:
    cron = parse_cron("0 * * * *", time_zone="Europe/Amsterdam")
    for start in ("2026-03-28T22:00+00:00", "2026-10-24T22:00+00:00"):
        gaps = {later - earlier for earlier, later in pairwise(following(cron, at(start), 8))}
        assert gaps == {timedelta(hours=1)}


@pytest.mark.parametrize(
    ("after", "expression", "due"),
    [
        ("2012-03-11T00:00-05:00", "30 2 11 Mar ?", "2013-03-11T02:30-04:00"),
        ("2012-11-04T00:00-04:00", "30 2 04 Nov ?", "2012-11-04T02:30-05:00"),
        ("2012-11-04T00:00-04:00", "30 1 04 Nov ?", "2012-11-04T01:30-04:00"),
        ("2012-11-04T01:45-04:00", "30 1 04 Nov ?", "2012-11-04T01:30-05:00"),
    ],
)
def test_the_cases_that_cronjobs_own_library_is_tested_with(after: str, expression: str, due: str) -> None:
    assert next_after(parse_cron(expression, time_zone="America/New_York"), at(after)) == at(due)


@pytest.mark.parametrize(
    ("expression", "day", "fires"),
    [
        ("0 0 1,15 * Sun", "2012-07-15", True),
        ("0 0 1,15 * Sun", "2012-06-15", True),
        ("0 0 1,15 * Sun", "2012-07-08", True),
        ("0 0 1,15 * Sun", "2012-07-09", False),
        ("0 0 * * Mon", "2012-07-15", False),
        ("0 0 1,15 * *", "2012-07-09", False),
        ("0 0 1,15 * ?", "2012-07-15", True),
        ("0 0 ? Jul Sun", "2012-07-16", False),
        ("@daily", "2012-07-09", True),
        ("@weekly", "2012-07-09", False),
        ("@monthly", "2012-07-01", True),
    ],
)
def test_days_match_as_cronjob_has_it(expression: str, day: str, fires: bool) -> None:
    midnight = at(f"{day}T00:00+00:00")
    assert (next_after(parse_cron(expression), midnight - timedelta(seconds=1)) == midnight) is fires


def test_the_first_of_six_fields_is_the_second() -> None:
    every_twenty = parse_cron("*/20 * * * * *")
    assert following(every_twenty, at("2026-07-05T09:00:05+00:00"), 3) == [
        at("2026-07-05T09:00:20+00:00"),
        at("2026-07-05T09:00:40+00:00"),
        at("2026-07-05T09:01:00+00:00"),
    ]


def test_the_next_instant_is_strictly_later() -> None:
    cron = parse_cron("0 3 * * *")
    due = at("2026-07-05T03:00+00:00")
    assert next_after(cron, due) == due + timedelta(days=1)
    assert next_after(cron, due - timedelta(microseconds=1)) == due


@pytest.mark.parametrize(
    ("expression", "zone", "reason", "fix"),
    [
        ("0 3 * *", "UTC", "has 4 fields", "minute hour day-of-month month day-of-week"),
        ("", "UTC", "has 0 fields", "5 fields"),
        ("61 * * * *", "UTC", "not a cron expression", "0 3 * * *"),
        ("*/0 * * * *", "UTC", "not a cron expression", "0 3 * * *"),
        ("0 3 * * someday", "UTC", "not a cron expression", "0 3 * * *"),
        ("0 0 30 2 *", "UTC", "never matches", "a day that its months have"),
        ("TZ=UTC 0 3 * * *", "UTC", "inside the expression", "timeZone"),
        ("CRON_TZ=UTC 0 3 * * *", "UTC", "inside the expression", "timeZone"),
        ("H 3 * * *", "UTC", "at random", "the value itself"),
        ("R(0-30) 3 * * *", "UTC", "at random", "the value itself"),
        ("@every 5s", "UTC", "not a cron expression", "every"),
        ("@reboot", "UTC", "not a cron expression", "0 3 * * *"),
        ("0 3 * * *", "Europe/Amsterdamm", "not a time zone", "Europe/Amsterdam"),
        ("0 3 * * *", "Local", "not a time zone", "IANA"),
        ("0 3 * * *", "../../etc/passwd", "not a time zone", "IANA"),
    ],
)
def test_what_can_not_be_followed_is_refused_with_reason_and_fix(
    expression: str, zone: str, reason: str, fix: str
) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        parse_cron(expression, time_zone=zone)
    assert reason in refused.value.reason
    assert fix in refused.value.fix


def test_an_interval_is_due_at_its_multiples() -> None:
    every = parse_every(timedelta(seconds=20))
    assert next_after(every, at("2026-07-05T09:00:05+00:00")) == at("2026-07-05T09:00:20+00:00")
    assert next_after(every, at("2026-07-05T09:00:20+00:00")) == at("2026-07-05T09:00:40+00:00")
    assert next_after(parse_every(timedelta(days=1)), at("2026-07-05T09:00+00:00")) == at("2026-07-06T00:00+00:00")


def test_an_interval_under_a_second_is_refused() -> None:
    with pytest.raises(InvalidSchedule, match="at least a second"):
        parse_every(timedelta(milliseconds=250))


def test_however_much_was_missed_only_the_latest_is_made_good() -> None:
    cron = parse_cron("*/5 * * * *")
    now = at("2026-07-05T09:03+00:00")
    assert missed(cron, last=at("2021-01-01T00:00+00:00"), now=now) == at("2026-07-05T09:00+00:00")
    assert missed(cron, last=at("2026-07-05T09:00+00:00"), now=now) is None


def test_what_is_older_than_the_deadline_is_not_made_good() -> None:
    cron = parse_cron("0 3 * * *")
    last, now = at("2026-07-01T03:00+00:00"), at("2026-07-05T09:00+00:00")
    assert missed(cron, last=last, now=now, deadline=timedelta(hours=7)) == at("2026-07-05T03:00+00:00")
    assert missed(cron, last=last, now=now, deadline=timedelta(hours=5)) is None


def _matches(minute: int, hour: int | None, day: int | None, weekday: int | None, wall: datetime) -> bool:
    """The oracle's own reading of "minute hour day * weekday"."""
    by_day = day is None or wall.day == day
    by_weekday = weekday is None or wall.isoweekday() % 7 == weekday
    right_day = (by_day or by_weekday) if day is not None and weekday is not None else by_day and by_weekday
    return wall.minute == minute and (hour is None or wall.hour == hour) and right_day


def _change_near(zone: str, year: int, month: int) -> datetime:
    """A clock change of the zone in that month, or the middle of it."""
    start = datetime(year, month, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=hour) for hour in range(24 * 31)]
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in hours]
    for index, (one, other) in enumerate(pairwise(offsets)):
        if one != other:
            return hours[index + 1]
    return start + timedelta(days=15)


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    year=st.integers(2009, 2027),
    month=st.integers(1, 12),
    minutes_before=st.integers(0, 3 * 24 * 60),
    minute=st.integers(0, 59),
    hour=st.none() | st.integers(0, 4) | st.integers(0, 23),
    day=st.none() | st.integers(1, 31),
    weekday=st.none() | st.integers(0, 6),
)
def test_the_next_instant_is_the_first_whose_wall_time_matches(
    zone: str,
    year: int,
    month: int,
    minutes_before: int,
    minute: int,
    hour: int | None,
    day: int | None,
    weekday: int | None,
) -> None:
    after = _change_near(zone, year, month) - timedelta(minutes=minutes_before)
    fields = [str(minute), *("*" if field is None else str(field) for field in (hour, day)), "*"]
    cron = parse_cron(" ".join([*fields, "*" if weekday is None else str(weekday)]), time_zone=zone)
    found = next_after(cron, after)
    assert found > after
    assert _matches(minute, hour, day, weekday, found.astimezone(ZoneInfo(zone)))
    checked = min(found, after + timedelta(days=9))
    moment = after.replace(second=0) + timedelta(minutes=1)
    while moment < checked:
        assert not _matches(minute, hour, day, weekday, moment.astimezone(ZoneInfo(zone))), f"{moment} was passed over"
        moment += timedelta(minutes=1)


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    expression=st.sampled_from(("*/20 * * * * *", "30 1 * * *", "0 */6 * * *", "0 9-17 * * Mon-Fri", "0 0 1 * *")),
    start=st.integers(1_420_000_000, 1_800_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    span=st.timedeltas(timedelta(0), timedelta(hours=50)),
)
def test_the_latest_instant_of_a_span_is_the_last_one_a_walk_finds(
    zone: str, expression: str, start: datetime, span: timedelta
) -> None:
    cron = parse_cron(expression, time_zone=zone)
    if expression.startswith("*/20"):
        span /= 100
    latest = None
    moment = start
    while (moment := next_after(cron, moment)) <= start + span:
        latest = moment
    assert latest_until(cron, after=start, until=start + span) == latest


@given(st.text(alphabet="0123456789*/,-?LW#@ ADEFHIJLMNORSTUVY", max_size=20))
def test_no_text_whatever_breaks_the_parser(text: str) -> None:
    with suppress(InvalidSchedule):
        assert next_after(parse_cron(text), at("2026-07-05T09:00+00:00")) > at("2026-07-05T09:00+00:00")


def test_a_zone_is_an_iana_name() -> None:
    assert zone_of("America/Argentina/Buenos_Aires").key == "America/Argentina/Buenos_Aires"
