"""The field readers and writers that every message of the wire is built from.

A reader takes an object, a key and gives a value of the promised type, or raises `InvalidMessage` naming the field and
what belongs there; `inside` puts the part of the message in front as the error travels outward ("answer.ops[1].id: …").
Unknown members are ignored, so that either side can be newer.
"""

import json
from datetime import datetime
from json.encoder import encode_basestring_ascii
from typing import Any, Final, cast

from stepwell_protocol import limits
from stepwell_protocol.times import InvalidTime, parse_time

NULL: Final = b"null"
LONGEST_INT: Final = 2**63 - 1


class InvalidMessage(ValueError):
    """A message of the wire that does not say what it must.

    `place` is the path to the field, `reason` what is wrong with it.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason

    def inside(self, outer: str) -> "InvalidMessage":
        """The same refusal, seen from the message around it."""
        joined = (
            f"{outer}{self.place}" if self.place.startswith("[") else f"{outer}.{self.place}" if self.place else outer
        )
        return type(self)(joined, self.reason)


class TooLarge(InvalidMessage):
    """A part of the message passes a limit of the wire; sending it again would not help."""


def shown(value: object) -> str:
    """A value for an error message, short whatever it is."""
    if isinstance(value, str):
        value = value[:40] + "…" if len(value) > 40 else value
        return json.dumps(value)
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a very long number"
    return text if len(text) <= 40 else text[:39] + "…"


def an_object(value: Any, place: str) -> dict[str, Any]:
    """The value itself, which must be an object."""
    if not isinstance(value, dict):
        raise InvalidMessage(place, f"must be an object; got {shown(value)}")
    return value


def text(holder: dict[str, Any], key: str, *, longest: int = limits.ID_CHARS) -> str:
    """A required string, not empty and not longer than `longest` characters."""
    value = holder.get(key)
    if type(value) is not str or not 0 < len(value) <= longest:
        got = "it is missing" if key not in holder else f"got {shown(value)}"
        raise InvalidMessage(key, f"must be a string of 1 to {longest} characters; {got}")
    return value


def optional_text(holder: dict[str, Any], key: str, *, longest: int = limits.ID_CHARS) -> str | None:
    """A string, or None when it is absent or null."""
    return None if holder.get(key) is None else text(holder, key, longest=longest)


def cut_text(holder: dict[str, Any], key: str, *, longest: int) -> str | None:
    """A string for people, cut to `longest` characters; None when it is absent or null."""
    value = holder.get(key)
    if value is None:
        return None
    if type(value) is not str:
        raise InvalidMessage(key, f"must be a string; got {shown(value)}")
    return value if len(value) <= longest else value[: longest - 1] + "…"


def whole(holder: dict[str, Any], key: str, *, least: int = 0) -> int:
    """A required integer from `least` to 2^63 - 1."""
    value = holder.get(key)
    if type(value) is not int or not least <= value <= LONGEST_INT:
        got = "it is missing" if key not in holder else f"got {shown(value)}"
        raise InvalidMessage(key, f"must be a whole number of at least {least}; {got}")
    return value


def wholes(holder: dict[str, Any], *keys: str) -> list[int]:
    """Several of them, in the order of `keys`."""
    values = [holder.get(key) for key in keys]
    if all(type(value) is int and 0 <= value <= LONGEST_INT for value in values):
        return cast("list[int]", values)
    return [whole(holder, key) for key in keys]


def optional_number(holder: dict[str, Any], key: str) -> float | None:
    """A number of at least 0 that fits a double, or None when it is absent or null."""
    value = holder.get(key)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= 1e15:
        raise InvalidMessage(key, f"must be a number from 0 to 1e15; got {shown(value)}")
    return float(value)


def truth(holder: dict[str, Any], key: str, *, default: bool) -> bool:
    """A boolean, `default` when it is absent."""
    value = holder.get(key, default)
    if type(value) is not bool:
        raise InvalidMessage(key, f"must be true or false; got {shown(value)}")
    return value


def instant(holder: dict[str, Any], key: str) -> datetime:
    """A required RFC 3339 instant."""
    try:
        return parse_time(holder[key])
    except KeyError:
        raise InvalidMessage(key, 'must be a time such as "2026-07-05T09:00:00.000Z"; it is missing') from None
    except InvalidTime as error:
        raise InvalidMessage(key, str(error)) from None


def optional_instant(holder: dict[str, Any], key: str) -> datetime | None:
    """An RFC 3339 instant, or None when it is absent or null."""
    return None if holder.get(key) is None else instant(holder, key)


def quoted(value: str) -> bytes:
    """A string as JSON, in ASCII."""
    return encode_basestring_ascii(value).encode("ascii")


def number(value: float) -> bytes:
    """A finite number as JSON, whole numbers without a fraction."""
    return b"%d" % value if value == int(value) else repr(value).encode("ascii")
