"""Durations as they are written in manifests, on the wire and in the SDK: "250ms", "90s", "5m", "12h", "7d", "1h30m".

A duration is a whole number with a unit, or several of them from the largest unit to the smallest, each unit once. What
cannot be read is refused with `InvalidDuration`, whose message says what to write instead; nothing is rounded or
guessed.
"""

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = r"^([0-9]{1,13}(d|h|m|s|ms))+$"
"""A regular expression for JSON Schema: it accepts every duration, and a few texts (units out of order) that are
refused later.
"""

LONGEST: Final = timedelta(days=36_500)

_UNITS: Final = ("days", "hours", "minutes", "seconds", "milliseconds")
_READ: Final = re.compile(
    r"(?=[0-9])(?:([0-9]{1,13})d)?(?:([0-9]{1,13})h)?(?:([0-9]{1,13})m(?!s))?(?:([0-9]{1,13})s)?(?:([0-9]{1,13})ms)?",
    re.ASCII,
)
_WRITE: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


class InvalidDuration(ValueError):
    """The text is not a duration."""


def parse_duration(text: object) -> timedelta:
    """Read a duration such as "90s" or "1h30m".

    Raises:
        InvalidDuration: the text is not a duration, or is longer than 36,500 days.
    """
    found = _READ.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidDuration(
            f"{_shown(text)} is not a duration: write whole numbers with a unit (ms, s, m, h, d), "
            'such as "250ms", "90s" or "1h30m"'
        )
    parts = {unit: int(number) for unit, number in zip(_UNITS, found.groups(), strict=True) if number}
    try:
        value = timedelta(**parts)
    except OverflowError:
        value = timedelta.max
    if value > LONGEST:
        raise InvalidDuration(f'"{text}" is longer than the longest duration, "{LONGEST.days}d"')
    return value


def format_duration(value: timedelta) -> str:
    """Write a duration in the largest single unit that holds it exactly: 5,400 seconds are "90m".

    Raises:
        InvalidDuration: the duration is negative, too long, or finer than a millisecond.
    """
    if value < timedelta(0) or value > LONGEST:
        raise InvalidDuration(f'{value} cannot be written: a duration is between "0s" and "{LONGEST.days}d"')
    millis, rest = divmod(value, timedelta(milliseconds=1))
    if rest:
        raise InvalidDuration(f"{value} cannot be written: a duration is a whole number of milliseconds")
    if millis == 0:
        return "0s"
    unit, size = next((unit, size) for unit, size in _WRITE if millis % size == 0)
    return f"{millis // size}{unit}"


def _shown(text: object) -> str:
    return f'"{text[:40]}"' if isinstance(text, str) else repr(text)[:40]
