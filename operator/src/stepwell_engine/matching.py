"""Does an event satisfy a wait? `match` is a subset of the event's data.

An object matches when every member it names is present and matches; anything else, lists included, must be equal.
Numbers compare by value (1 equals 1.0), but true is not 1. A match that is null or empty takes every event of the
name.
"""

from collections.abc import Mapping
from typing import Any


def is_subset(match: Any, data: Any) -> bool:
    """Whether `data` holds all that `match` names. Both are parsed JSON, whose depth is bounded where it enters."""
    if match is None:
        return True
    if isinstance(match, Mapping):
        return isinstance(data, Mapping) and all(
            key in data and _agrees(wanted, data[key]) for key, wanted in match.items()
        )
    return _agrees(match, data)


def _agrees(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _agrees(part, found[key]) for key, part in wanted.items()
        )
    return _equal(wanted, found)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(member, other[key]) for key, member in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
