"""What `Step` and `SyncStep` have in common: their arguments become steps, and wrong ones become mistakes that name the line."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from stepwell.context import ReceivedEvent
from stepwell.errors import Interrupt, Mistake
from stepwell.later import SendLater, SleepLater, WaitLater
from stepwell.place import Place
from stepwell.shapes import PLAIN, NotJson, Shape, shape_of
from stepwell.turn import Turn
from stepwell_protocol import limits
from stepwell_protocol.durations import InvalidDuration, parse_duration
from stepwell_protocol.times import InvalidTime, parse_time
from stepwell_protocol.wire import SentEvent

T = TypeVar("T")

Duration = str | timedelta | float
"""How long: "90s", "12h", "7d", a timedelta, or seconds."""

#: Version 1 of the wire knows no wait without an end.
_FOR_EVER = timedelta(days=3650)


def sleep(turn: Turn, name: str, duration: Duration, *, where: Place) -> SleepLater:
    """A sleep of some length, from when it is awaited."""
    length = _length(turn, duration, name=name, where=where)
    return SleepLater(turn, name, where=where, until=lambda: _moment(turn) + length)


def sleep_until(turn: Turn, name: str, until: datetime | str, *, where: Place) -> SleepLater:
    """A sleep until an instant."""
    try:
        instant = parse_time(until) if isinstance(until, str) else until
        if instant.tzinfo is None:
            raise InvalidTime(f"{instant!r} has no time zone: use datetime.now(UTC) or replace(tzinfo=…)")
    except InvalidTime as error:
        raise turn.blame(Mistake(f"step {name!r} ({where}): {error}")) from None
    return SleepLater(turn, name, where=where, until=lambda: instant)


def wait(
    turn: Turn,
    name: str,
    event: str,
    *,
    match: Mapping[str, Any] | None,
    timeout: Duration | None,
    data: Any,
    where: Place,
) -> WaitLater[ReceivedEvent[Any] | None]:
    """A wait for an event; `data` is the type of its data."""
    length = None if timeout is None else _length(turn, timeout, name=name, where=where)
    if length is None and turn.call is None:
        length = _FOR_EVER
    shape: Shape[Any] = shape_of(data)
    return WaitLater(
        turn,
        name,
        where=where,
        event=event,
        match=None if match is None else _json(turn, dict(match), what="match", name=name, where=where),
        until=lambda: None if length is None else _moment(turn) + length,
        received=lambda found: _received(found, shape),
    )


def _received(found: Mapping[str, Any] | None, shape: Shape[T]) -> ReceivedEvent[T] | None:
    if found is None:
        return None
    return ReceivedEvent(str(found.get("id", "")), str(found.get("name", "")), shape.restore(found.get("data")))


def send(turn: Turn, name: str, event: str, data: object, *, id: str | None, where: Place) -> SendLater:
    """An event to send."""
    encoded = _json(turn, data, what="the event", name=name, where=where)
    if over := limits.over_limit("the event", size=len(encoded), limit=limits.EVENT_BYTES):
        raise turn.blame(Mistake(f"step {name!r} ({where}): {over}"))
    return SendLater(turn, name, where=where, event=SentEvent(event, encoded, id))


def _json(turn: Turn, value: object, *, what: str, name: str, where: Place) -> bytes:
    try:
        return PLAIN.dump(value)
    except NotJson as refusal:
        raise turn.blame(Mistake(f"step {name!r} ({where}): {what} {refusal}")) from None


def _length(turn: Turn, duration: Duration, *, name: str, where: Place) -> timedelta:
    try:
        length = parse_duration(duration) if isinstance(duration, str) else duration
        length = length if isinstance(length, timedelta) else timedelta(seconds=length)
        if length < timedelta(0):
            raise InvalidDuration(f"{length} is negative: a duration is at least 0")
    except (InvalidDuration, TypeError, OverflowError, ValueError) as error:
        raise turn.blame(Mistake(f"step {name!r} ({where}): {error}")) from None
    return length


def _moment(turn: Turn) -> datetime:
    return datetime.fromtimestamp(turn.now(), UTC)


def refuse_mixture(branches: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Refuse branches of which some are named and some are not."""
    if branches and named:
        raise Mistake("step.parallel takes branches by position or by name, not both")


def raise_first(outcomes: list[Any]) -> None:
    """Raise what ended a branch: first what ends the call, then the first failure."""
    for kind in (Interrupt, asyncio.CancelledError, BaseException):
        for outcome in outcomes:
            if isinstance(outcome, kind):
                raise outcome
