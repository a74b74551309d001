"""The border between CEL's values and JSON's.

A timestamp becomes its RFC 3339 text and a duration the text that manifests use ("90s"), so that both can stand where a
definition expects them. What JSON can't hold (bytes, NaN, keys that aren't texts) is refused, never bent.
"""

import math
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from stepwell_protocol.durations import InvalidDuration, format_duration
from stepwell_protocol.times import InvalidTime, format_time


class Extent(NamedTuple):
    """The largest collection and the longest text anywhere inside a value."""

    collection: int
    string: int


def extent_of(value: Any) -> Extent:
    """Measure without recursion; the depth of payloads is bounded where they enter."""
    collection = string = 0
    rest = [value]
    while rest:
        match rest.pop():
            case str(text):
                string = max(string, len(text))
            case dict(members):
                collection = max(collection, len(members))
                rest.extend(members.values())
            case list(items):
                collection = max(collection, len(items))
                rest.extend(items)
            case _:
                pass
    return Extent(collection, string)


def plain(value: Any) -> Any:
    """The JSON value for what an evaluation gave.

    Raises:
        ValueError: JSON has no such value; the message says what to do.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"the result is {value}, which JSON can't hold: guard against a division by zero")
            return value
        case list():
            return [plain(item) for item in value]
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise ValueError(f"the result has the key {key!r}, but keys must be texts: write string({key!r})")
            return {key: plain(member) for key, member in value.items()}
        case datetime():
            return _written(format_time, value)
        case timedelta():
            return _written(format_duration, value)
        case bytes():
            raise ValueError("the result is bytes, which JSON can't hold: write string(…) around it")
        case _:
            raise ValueError(f"the result is of a kind that JSON can't hold ({type(value).__name__})")


def _written(write: Any, value: object) -> str:
    try:
        return str(write(value))
    except (InvalidDuration, InvalidTime) as error:
        raise ValueError(str(error)) from None
