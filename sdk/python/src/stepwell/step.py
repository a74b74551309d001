"""`Step`: what every handler is given first. All that is durable hangs on it, and what the handler can know of its run.

`Step` is for async handlers: what it gives is awaited. `SyncStep`, for plain functions, has the same methods and gives
the results at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from pydantic import JsonValue

from stepwell.errors import Interrupt, Mistake
from stepwell.later import Later, RunLater, SendLater, SleepLater, WaitLater, caller
from stepwell.shapes import PLAIN, NotJson, Shape, shape_of
from stepwell.steps import idempotency_key, log, running
from stepwell.thread_turn import ThreadTurn, drive
from stepwell.turn import Turn
from stepwell_protocol import limits
from stepwell_protocol.durations import InvalidDuration, parse_duration
from stepwell_protocol.times import InvalidTime, parse_time
from stepwell_protocol.wire import SentEvent

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")

Duration = str | timedelta | float
"""How long: "90s", "12h", "7d", a timedelta, or seconds."""

#: Version 1 of the wire knows no wait without an end.
_FOR_EVER = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class ReceivedEvent(Generic[T]):
    """An event that reached the run."""

    id: str
    name: str
    data: T


class RunContext:
    """What a handler can know of its run."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    @property
    def run_id(self) -> str:
        """The run's id; the same in every call."""
        return self._turn.invoke.run_id

    @property
    def event(self) -> ReceivedEvent[JsonValue]:
        """The event that started the run.

        Raises:
            Mistake: a workflow's step has no event; its input is the handler's second argument.
        """
        event = self._turn.invoke.event
        if event is None:
            raise Mistake("step.event is for functions: a workflow's step gets its input as the second argument")
        return ReceivedEvent(event.id, event.name, event.data)

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1: of the step that is running, or of a workflow's step."""
        inside, step = running.get(), self._turn.invoke.step
        if inside is not None:
            return inside.attempt
        return step.attempt if step is not None else 1

    @property
    def token(self) -> int | None:
        """Rises with every lease of the run, for services that can fence off an older one.

        None under version 1 of the wire.
        """
        return self._turn.call.token if self._turn.call else None

    @property
    def idempotency_key(self) -> str:
        """The running step's key, the same on every attempt.

        Raises:
            Mistake: no step is running. Before a step, `idempotency_key_of` gives its key.
        """
        inside, step = running.get(), self._turn.invoke.step
        if inside is not None:
            return inside.idempotency_key
        if step is not None:
            return idempotency_key(self.run_id, step=step.id)
        raise Mistake(
            "step.idempotency_key is the key of a running step, and none is running here: "
            "use step.idempotency_key_of('name'), or current_step().idempotency_key inside the step's code"
        )

    def idempotency_key_of(self, name: str) -> str:
        """The key of the step of this name (write `name#2` for its second use)."""
        return idempotency_key(self.run_id, step=name)

    @property
    def results(self) -> Mapping[str, JsonValue]:
        """For a workflow's step: the outputs of earlier steps by name."""
        return cast(Mapping[str, JsonValue], self._turn.invoke.results)

    @property
    def is_replaying(self) -> bool:
        """Whether the handler is still on ground that it covered in an earlier call."""
        return self._turn.replay.is_replaying

    @property
    def logger(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger that says which run, and is silent while the handler covers old ground."""
        return _ReplayAwareLogger(self._turn)


class _ReplayAwareLogger(logging.LoggerAdapter[logging.Logger]):
    def __init__(self, turn: Turn) -> None:
        super().__init__(log, {"run_id": turn.invoke.run_id})
        self._turn = turn

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's own name
        return not self._turn.replay.is_replaying and super().isEnabledFor(level)


class Run:
    """`step.run`."""

    __slots__ = ("_turn",)

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    @overload
    def __call__(
        self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Later[R]: ...
    @overload
    def __call__(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Later[R]: ...
    def __call__(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Later[Any]:
        """Run `function(*args, **kwargs)` as a step, once: its result is journaled and restored in every later call.

        Args:
            name: the step's name. A second use in one run is `name#2`.
            function: async or plain; a plain one runs in a thread. Its return annotation is the type the result is
                restored to.

        Raises:
            StepFailed: its attempts are used up, or it raised NonRetryable.
        """
        return RunLater(self._turn, name, where=caller(1), function=function, args=args, kwargs=kwargs)

    @overload
    def later(
        self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Later[R]: ...
    @overload
    def later(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Later[R]: ...
    def later(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Later[Any]:
        """The same step, made but not started, for `step.parallel`."""
        return RunLater(self._turn, name, where=caller(1), function=function, args=args, kwargs=kwargs)


class Step(RunContext):
    """What an async handler is given first."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self.run = Run(turn)

    def sleep(self, name: str, duration: Duration) -> Later[None]:
        """Sleep for a while. The run holds no worker and no memory meanwhile."""
        return _sleep(self._turn, name, duration, where=caller(1))

    def sleep_until(self, name: str, until: datetime | str) -> Later[None]:
        """Sleep until an instant: an aware datetime, or RFC 3339 text. It never wakes early."""
        return _sleep_until(self._turn, name, until, where=caller(1))

    @overload
    def wait_for_event(
        self, name: str, event: str, *, match: Mapping[str, Any] | None = ..., timeout: Duration | None = ...
    ) -> Later[ReceivedEvent[JsonValue] | None]: ...
    @overload
    def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        match: Mapping[str, Any] | None = ...,
        timeout: Duration | None = ...,
        data: type[T],
    ) -> Later[ReceivedEvent[T] | None]: ...
    def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        match: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
        data: Any = None,
    ) -> Later[Any]:
        """Wait for an event.

        Args:
            name: the step's name.
            event: the event's name.
            match: members that the event's data must have, nested ones included.
            timeout: how long at most; without it, as long as the run may last.
            data: the type of the event's data.

        Returns:
            The event, or None when none came in time. Only events sent after the wait is on record count.
        """
        return _wait(self._turn, name, event, match=match, timeout=timeout, data=data, where=caller(1))

    def send_event(self, name: str, event: str, data: object = None, *, id: str | None = None) -> Later[str]:
        """Send an event, exactly once: in the commit that journals this step. Gives the event's id."""
        return _send(self._turn, name, event, data, id=id, where=caller(1))

    @overload
    async def parallel(self, first: Awaitable[T1], second: Awaitable[T2], /) -> tuple[T1, T2]: ...
    @overload
    async def parallel(
        self, first: Awaitable[T1], second: Awaitable[T2], third: Awaitable[T3], /
    ) -> tuple[T1, T2, T3]: ...
    @overload
    async def parallel(
        self, first: Awaitable[T1], second: Awaitable[T2], third: Awaitable[T3], fourth: Awaitable[T4], /
    ) -> tuple[T1, T2, T3, T4]: ...
    @overload
    async def parallel(self, *branches: Awaitable[T]) -> tuple[T, ...]: ...
    @overload
    async def parallel(self, **branches: Awaitable[T]) -> dict[str, T]: ...
    async def parallel(self, *branches: Awaitable[Any], **named: Awaitable[Any]) -> Any:
        """Run branches side by side and give all their results: a tuple, or a dict when the branches are named.

        A branch is a step that is made but not started, or any other awaitable that leads to steps. When branches fail,
        the others still end first; then the first failure, in the order of the arguments, is raised.
        """
        _refuse_mixture(branches, named)
        outcomes = await asyncio.gather(*branches, *named.values(), return_exceptions=True)
        _raise_first(outcomes)
        return dict(zip(named, outcomes, strict=True)) if named else tuple(outcomes)


class SyncRun:
    """`step.run` of a plain handler."""

    __slots__ = ("_turn",)

    def __init__(self, turn: ThreadTurn) -> None:
        self._turn = turn

    @overload
    def __call__(self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __call__(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run a step and give its result. A plain function runs in the handler's own thread."""
        return drive(RunLater(self._turn, name, where=caller(1), function=function, args=args, kwargs=kwargs))

    @overload
    def later(
        self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Later[R]: ...
    @overload
    def later(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Later[R]: ...
    def later(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Later[Any]:
        """The same step, made but not started, for `step.parallel`."""
        return RunLater(self._turn, name, where=caller(1), function=function, args=args, kwargs=kwargs)


class SyncStep(RunContext):
    """What a plain handler is given first. It has the methods of `Step` and gives results at once."""

    def __init__(self, turn: ThreadTurn) -> None:
        super().__init__(turn)
        self._thread = turn
        self.run = SyncRun(turn)

    def sleep(self, name: str, duration: Duration) -> None:
        """See `Step.sleep`."""
        drive(_sleep(self._turn, name, duration, where=caller(1)))

    def sleep_until(self, name: str, until: datetime | str) -> None:
        """See `Step.sleep_until`."""
        drive(_sleep_until(self._turn, name, until, where=caller(1)))

    @overload
    def wait_for_event(
        self, name: str, event: str, *, match: Mapping[str, Any] | None = ..., timeout: Duration | None = ...
    ) -> ReceivedEvent[JsonValue] | None: ...
    @overload
    def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        match: Mapping[str, Any] | None = ...,
        timeout: Duration | None = ...,
        data: type[T],
    ) -> ReceivedEvent[T] | None: ...
    def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        match: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
        data: Any = None,
    ) -> Any:
        """See `Step.wait_for_event`."""
        return drive(_wait(self._turn, name, event, match=match, timeout=timeout, data=data, where=caller(1)))

    def send_event(self, name: str, event: str, data: object = None, *, id: str | None = None) -> str:
        """See `Step.send_event`."""
        return drive(_send(self._turn, name, event, data, id=id, where=caller(1)))

    @overload
    def parallel(self, first: Later[T1], second: Later[T2], /) -> tuple[T1, T2]: ...
    @overload
    def parallel(self, first: Later[T1], second: Later[T2], third: Later[T3], /) -> tuple[T1, T2, T3]: ...
    @overload
    def parallel(self, *branches: Later[T]) -> tuple[T, ...]: ...
    @overload
    def parallel(self, **branches: Later[T]) -> dict[str, T]: ...
    def parallel(self, *branches: Later[Any], **named: Later[Any]) -> Any:
        """See `Step.parallel`.

        In a plain handler the branches' code runs one after the other; they fail and retry side by side.
        """
        _refuse_mixture(branches, named)
        outcomes = drive(self._thread.in_turn([*branches, *named.values()]))
        _raise_first(outcomes)
        return dict(zip(named, outcomes, strict=True)) if named else tuple(outcomes)


def _sleep(turn: Turn, name: str, duration: Duration, *, where: str) -> SleepLater:
    length = _length(turn, duration, name=name, where=where)
    return SleepLater(turn, name, where=where, until=lambda: _moment(turn) + length)


def _sleep_until(turn: Turn, name: str, until: datetime | str, *, where: str) -> SleepLater:
    try:
        instant = parse_time(until) if isinstance(until, str) else until
        if instant.tzinfo is None:
            raise InvalidTime(f"{instant!r} has no time zone: use datetime.now(UTC) or replace(tzinfo=…)")
    except InvalidTime as error:
        raise turn.blame(Mistake(f"step {name!r} ({where}): {error}")) from None
    return SleepLater(turn, name, where=where, until=lambda: instant)


def _wait(
    turn: Turn,
    name: str,
    event: str,
    *,
    match: Mapping[str, Any] | None,
    timeout: Duration | None,
    data: Any,
    where: str,
) -> WaitLater[ReceivedEvent[Any] | None]:
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


def _send(turn: Turn, name: str, event: str, data: object, *, id: str | None, where: str) -> SendLater:
    encoded = _json(turn, data, what="the event", name=name, where=where)
    if over := limits.over_limit("the event", size=len(encoded), limit=limits.EVENT_BYTES):
        raise turn.blame(Mistake(f"step {name!r} ({where}): {over}"))
    return SendLater(turn, name, where=where, event=SentEvent(event, encoded, id))


def _json(turn: Turn, value: object, *, what: str, name: str, where: str) -> bytes:
    try:
        return PLAIN.dump(value)
    except NotJson as refusal:
        raise turn.blame(Mistake(f"step {name!r} ({where}): {what} {refusal}")) from None


def _length(turn: Turn, duration: Duration, *, name: str, where: str) -> timedelta:
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


def _refuse_mixture(branches: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    if branches and named:
        raise Mistake("step.parallel takes branches by position or by name, not both")


def _raise_first(outcomes: list[Any]) -> None:
    for kind in (Interrupt, asyncio.CancelledError, BaseException):
        for outcome in outcomes:
            if isinstance(outcome, kind):
                raise outcome
