"""`SyncStep`: what every plain handler is given first. It has the methods of `Step` and gives results at once.

There is one source for what the methods do; here it is driven to its end in the handler's own thread.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, ParamSpec, TypeVar, overload

from pydantic import JsonValue

from stepwell import making
from stepwell.context import ReceivedEvent, RunContext
from stepwell.later import Later, RunLater
from stepwell.making import Duration
from stepwell.place import caller
from stepwell.thread_turn import ThreadTurn, drive

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")


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
        drive(making.sleep(self._turn, name, duration, where=caller(1)))

    def sleep_until(self, name: str, until: datetime | str) -> None:
        """See `Step.sleep_until`."""
        drive(making.sleep_until(self._turn, name, until, where=caller(1)))

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
        return drive(making.wait(self._turn, name, event, match=match, timeout=timeout, data=data, where=caller(1)))

    def send_event(self, name: str, event: str, data: object = None, *, id: str | None = None) -> str:
        """See `Step.send_event`."""
        return drive(making.send(self._turn, name, event, data, id=id, where=caller(1)))

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
        making.refuse_mixture(branches, named)
        outcomes = drive(self._thread.in_turn([*branches, *named.values()]))
        making.raise_first(outcomes)
        return dict(zip(named, outcomes, strict=True)) if named else tuple(outcomes)
