"""Instants on the wire: RFC 3339 in UTC with milliseconds ("2026-07-05T09:00:00.000Z"), or unix milliseconds where a
field says so.

Inside, an instant is an aware `datetime` in UTC. Writing rounds up to the next millisecond, so that a timer that
travels over the wire can fire late by a fraction of a millisecond but never early. A time without an offset is refused:
it means nothing between two machines.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SHAPE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class InvalidTime(ValueError):
    """The text is not an RFC 3339 instant with an offset."""


def parse_time(text: object) -> datetime:
    """Read an RFC 3339 instant as an aware datetime in UTC.

    Raises:
        InvalidTime: the text has another form, no offset, or is out of range.
    """
    if isinstance(text, str) and len(text) <= 64 and _SHAPE.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    shown = repr(text)[:80]
    raise InvalidTime(f'{shown} is not a time: write RFC 3339 with an offset, such as "2026-07-05T09:00:00.000Z"')


def format_time(value: datetime) -> str:
    """Write an aware datetime as RFC 3339 in UTC, rounded up to the millisecond.

    Raises:
        InvalidTime: the datetime carries no time zone.
    """
    if value.tzinfo is None:
        raise InvalidTime(f"{value!r} has no time zone: use datetime.now(UTC) or replace(tzinfo=…)")
    utc = value.astimezone(UTC)
    if finer := utc.microsecond % 1000:
        utc += timedelta(microseconds=1000 - finer)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def from_unix_ms(millis: int) -> datetime:
    """The instant `millis` milliseconds after the epoch."""
    return _EPOCH + timedelta(milliseconds=millis)


def to_unix_ms(value: datetime) -> int:
    """Milliseconds since the epoch, rounded up."""
    return -((_EPOCH - value) // _MILLISECOND)
