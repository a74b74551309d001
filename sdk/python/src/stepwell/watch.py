"""Ends a call when its time is up, and cancels it when the engine has hung up.

Most calls are over in milliseconds and should pay next to nothing for this: all calls of a loop share one timer, which
looks at the oldest of them about once a second. One that lasts longer has its connection watched, which takes a task,
and its end time looked at again whenever it is due, because every checkpoint moves it on.
"""

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Final

from stepwell.current import log
from stepwell.turn import Turn

if TYPE_CHECKING:
    from stepwell.endpoint import Request

_WATCH_AFTER: Final = 1.0


class HungUp(Exception):
    """Nobody waits for the answer any more."""


class Watcher:
    """The timer that the calls of one event loop share."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._watches: set[Watch] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, watch: "Watch") -> None:
        """Have `watch.look` called when it is due."""
        self._watches.add(watch)
        if self._timer is None or watch.due < self._due:
            self._wake_at(watch.due)

    def remove(self, watch: "Watch") -> None:
        """The call is over. The timer stays: there will be another call."""
        self._watches.discard(watch)

    def _wake_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self.loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self.loop.time()
        for watch in [each for each in self._watches if each.due <= now]:
            watch.look()
        if self._watches:
            self._wake_at(min(each.due for each in self._watches))


class Watch:
    """`with Watch(watcher, turn, request): …` around the code of the call that this task runs.

    Raises:
        HungUp: the engine has closed the connection; the call was cancelled.
    """

    __slots__ = ("_end_by", "_ends_at", "_heard_hang_up", "_listener", "_request", "_task", "_turn", "_watcher", "due")

    def __init__(self, watcher: Watcher, turn: Turn, request: "Request") -> None:
        self._watcher = watcher
        self._turn = turn
        self._request = request
        self._task = asyncio.current_task(watcher.loop)
        self._heard_hang_up = False
        self._listener: asyncio.Task[None] | None = None
        self._end_by: int | None = None
        self._ends_at: float | None = None
        now = watcher.loop.time()
        self.due = now + min(_WATCH_AFTER, self._left(now))

    def __enter__(self) -> None:
        self._watcher.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watcher.remove(self)
        if self._listener is not None:
            self._listener.cancel()
        if self._heard_hang_up and self._task is not None and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise HungUp from None

    def look(self) -> None:
        """See whether the call's time is up; `due` is when to look again."""
        now = self._watcher.loop.time()
        left = self._left(now)
        if left <= 0:
            log.error("run %s: the call's time (timeouts.step) is up", self._turn.invoke.run_id)
            self._watcher.remove(self)
            self._turn.time_out()
            return
        if self._listener is None and self._request.gone is not None:
            self._listener = self._watcher.loop.create_task(self._listen())
        self.due = now + left

    def _left(self, now: float) -> float:
        """Seconds until the call's time is up, by the loop's clock, which nobody sets back."""
        end_by = self._turn.end_by
        if end_by is not None and end_by != self._end_by:
            self._end_by = end_by
            self._ends_at = now + end_by / 1000 - self._turn.now()
        return _WATCH_AFTER if self._ends_at is None else max(self._ends_at - now, 0.0)

    async def _listen(self) -> None:
        assert self._request.gone is not None
        await self._request.gone()
        self._turn.end()
        self._heard_hang_up = True
        if self._task is not None:
            self._task.cancel()
