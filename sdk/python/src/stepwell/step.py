"""`Step`: what every async handler is given first. All that is durable hangs on it, and what the handler can know of its run."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, ParamSpec, TypeVar, overload

from pydantic import JsonValue

from stepwell import making
from stepwell.context import ReceivedEvent, RunContext
from stepwell.later import Later, RunLater
from stepwell.making import Duration
from stepwell.place import Place, caller
from stepwell.turn import Turn

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")


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
        frame = sys._getframe(1)  # noqa: SLF001 - what `caller` does, without the call: this is the step of all steps
        where = Place((frame.f_code, frame.f_lasti))
        return RunLater(self._turn, name, where=where, function=function, args=args, kwargs=kwargs)

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
        RunContext.__init__(self, turn)
        self.run = Run(turn)

    def sleep(self, name: str, duration: Duration) -> Later[None]:
        """Sleep for a while. The run holds no worker and no memory meanwhile."""
        return making.sleep(self._turn, name, duration, where=caller(1))

    def sleep_until(self, name: str, until: datetime | str) -> Later[None]:
        """Sleep until an instant: an aware datetime, or RFC 3339 text. It never wakes early."""
        return making.sleep_until(self._turn, name, until, where=caller(1))

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
        return making.wait(self._turn, name, event, match=match, timeout=timeout, data=data, where=caller(1))

    def send_event(self, name: str, event: str, data: object = None, *, id: str | None = None) -> Later[str]:
        """Send an event, exactly once: in the commit that journals this step. Gives the event's id."""
        return making.send(self._turn, name, event, data, id=id, where=caller(1))

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
        making.refuse_mixture(branches, named)
        outcomes = await asyncio.gather(*branches, *named.values(), return_exceptions=True)
        making.raise_first(outcomes)
        return dict(zip(named, outcomes, strict=True)) if named else tuple(outcomes)
