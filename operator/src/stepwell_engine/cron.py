"""When a schedule is due: cron expressions of 5 or 6 fields in an IANA time zone, and plain intervals.

The rule for clock changes is CronJob's (robfig/cron v3, which Kubernetes uses): a schedule is due at every instant
whose reading on the zone's wall clock matches the fields. Nothing more is done, so

- a wall time that the spring gap skips does not exist and does not fire that day: "30 2 * * *" in Europe/Amsterdam
  has no instant on 29 March 2026;
- a wall time that the autumn repeats fires at both readings: "30 2 * * *" there fires twice on 25 October 2026, an hour
  apart. A job that must not, belongs outside the repeated hour or in a zone without clock changes, such as UTC.

Also CronJob's: when day of month and day of week are both restricted, either suffices; names (JAN, MON), `?`, ranges,
steps, lists and @hourly to @yearly are understood; a zone inside the expression (`TZ=…`) is refused. With 6 fields
the first is the second. Where the fields stand is decided here; what they mean, by croniter, which reads them and
walks the wall clock.

`next_after` is strict: an instant is never its own successor, so a schedule that computes its next instant from the
last one can't fire twice for one instant.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, CroniterError, croniter

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_PROBE: Final = timedelta(hours=12)
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_NOT_ZONES: Final = frozenset({"Factory", "Local", "localtime", "posixrules"})
SHORTEST_INTERVAL: Final = timedelta(seconds=1)


class InvalidSchedule(ValueError):
    """A cron expression, a zone or an interval that can't be followed. `fix` says what to write instead."""

    def __init__(self, reason: str, *, fix: str) -> None:
        super().__init__(f"{reason}: {fix}")
        self.reason = reason
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a zone; made by `parse_cron`, which has checked both."""

    expression: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Every:
    """An interval. Its instants are the multiples of it since 1970 in UTC, so they depend on nothing else: every
    "20s" is due at :00, :20 and :40, every "24h" at midnight UTC, whenever the schedule was made or edited."""

    interval: timedelta


Timetable = Cron | Every


@lru_cache(maxsize=1024)
def parse_cron(expression: str, *, time_zone: str = "UTC") -> Cron:
    """Read and check a cron expression.

    Raises:
        InvalidSchedule: the expression or the zone is refused, or no instant ever matches.
    """
    text = expression.strip()
    if re.match(r"(CRON_)?TZ=", text):
        raise InvalidSchedule("a time zone can't stand inside the expression", fix="write it in timeZone")
    fields = text.split()
    if not text.startswith("@") and len(fields) not in (5, 6):
        raise InvalidSchedule(
            f"{text!r} has {len(fields)} fields",
            fix="write 5 fields (minute hour day-of-month month day-of-week), or 6 with the second first",
        )
    if text.startswith("@every"):
        raise InvalidSchedule(
            "an interval is not a cron expression", fix='use a Schedule with `every`, such as every: "20s"'
        )
    if re.search(r"(?i)(?<![a-z])[hr](?![a-z])|[hr]\(", text.partition("@")[0]):
        raise InvalidSchedule(f"{text!r} has a field that is drawn at random (H or R)", fix="write the value itself")
    zone_of(time_zone)
    cron = Cron(text, time_zone)
    try:
        _walk(cron, _EPOCH + timedelta(days=18_262))
    except CroniterBadDateError:
        raise InvalidSchedule(f"{text!r} never matches any date", fix="name a day that its months have") from None
    except (CroniterError, ValueError, KeyError, AttributeError) as error:
        reason = f"{text!r} is not a cron expression ({error})"
        raise InvalidSchedule(reason, fix='write for example "0 3 * * *" for every day at 03:00') from None
    return cron


def parse_every(interval: timedelta) -> Every:
    """Check an interval.

    Raises:
        InvalidSchedule: it is shorter than a second.
    """
    if interval < SHORTEST_INTERVAL:
        raise InvalidSchedule("an interval must be at least a second", fix='write for example "20s"')
    return Every(interval)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        InvalidSchedule: there is no such zone.
    """
    try:
        if _ZONE.fullmatch(name) and name not in _NOT_ZONES:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        pass
    fix = 'write an IANA name such as "Europe/Amsterdam" or "UTC"'
    raise InvalidSchedule(f"{name!r} is not a time zone", fix=fix)


def next_after(timetable: Timetable, after: datetime) -> datetime:
    """The first instant strictly after `after`, in UTC. `after` must be aware.

    Raises:
        InvalidSchedule: there is none in the next fifty years.
    """
    if isinstance(timetable, Every):
        passed = (after - _EPOCH) // timetable.interval
        return _EPOCH + timetable.interval * (passed + 1)
    zone = zone_of(timetable.time_zone)
    start = after.astimezone(UTC).replace(microsecond=0)
    offset = _offset(zone, start)
    while True:
        # Inside a stretch without clock changes wall time is UTC plus a constant, so the wall clock can be walked as
        # if it were UTC. A candidate behind the next change doesn't count: the walk starts again on the other side.
        try:
            candidate = _walk(timetable, start + offset) - offset
        except CroniterBadDateError:
            fix = "name a day that its months have"
            raise InvalidSchedule(f"{timetable.expression!r} never matches again", fix=fix) from None
        change = _first_change(zone, start, candidate, offset)
        if change is None:
            return candidate
        start, offset = change - _SECOND, _offset(zone, change)


def latest_until(timetable: Timetable, *, after: datetime, until: datetime) -> datetime | None:
    """The last instant in (after, until], or None: what `catchUp: One` makes good, however many were missed.

    Found by bisection, so a long downtime of a frequent schedule costs no more than a short one.
    """
    if next_after(timetable, after) > until:
        return None
    low, high = after, until
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        if next_after(timetable, middle) <= until:
            low = middle
        else:
            high = middle
    found = next_after(timetable, low)
    following = next_after(timetable, found)
    return following if following <= until else found


def missed(
    timetable: Timetable, *, last: datetime, now: datetime, deadline: timedelta | None = None
) -> datetime | None:
    """The one instant to make good after downtime: the latest in (last, now), not older than `deadline`."""
    earliest = last if deadline is None else max(last, now - deadline)
    return latest_until(timetable, after=earliest, until=now) if earliest < now else None


def _walk(cron: Cron, wall: datetime) -> datetime:
    """The next match after a wall-clock reading that is written as if it were UTC."""
    found: datetime = croniter(cron.expression, wall, ret_type=datetime, second_at_beginning=True).get_next()
    return found


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _first_change(zone: ZoneInfo, start: datetime, end: datetime, offset: timedelta) -> datetime | None:
    """The first instant in (start, end] that has another offset than `offset`.

    Looks every twelve hours; no zone changes its clock and changes it back within that.
    """
    if zone.key in ("UTC", "Etc/UTC"):
        return None
    low = start
    while low < end:
        high = min(low + _PROBE, end)
        if _offset(zone, high) != offset:
            while high - low > _SECOND:
                middle = low + ((high - low) // 2 // _SECOND) * _SECOND
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            return high
        low = high
    return None
