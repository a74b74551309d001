"""Ends a call when its time is up, and cancels it when the engine has hung up.

Most calls are over in milliseconds and pay for one timer that never fires. One that lasts longer has its connection
watched, which takes a task, and its end time looked at again whenever the timer fires, because every checkpoint moves
it on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from stepwell.current import log
from stepwell.turn import Turn

if TYPE_CHECKING:
    from stepwell.endpoint import Request

_WATCH_AFTER: Final = 1.0


@contextmanager
def watching(turn: Turn, request: "Request") -> Iterator[None]:
    """Watch over the call that this task runs.

    Raises:
        HungUp: the engine has closed the connection; the call was cancelled.
    """
    watch = _Watch(turn, request)
    try:
        yield
    except asyncio.CancelledError:
        if not watch.heard_hang_up or watch.task is None:
            raise
        watch.task.uncancel()
        raise HungUp from None
    finally:
        watch.stop()


class HungUp(Exception):
    """Nobody waits for the answer any more."""


class _Watch:
    __slots__ = (
        "_end_by",
        "_ends_at",
        "_listener",
        "_loop",
        "_request",
        "_timer",
        "_turn",
        "heard_hang_up",
        "task",
    )

    def __init__(self, turn: Turn, request: "Request") -> None:
        self._turn = turn
        self._request = request
        self._loop = asyncio.get_running_loop()
        self.task = asyncio.current_task()
        self.heard_hang_up = False
        self._listener: asyncio.Task[None] | None = None
        self._end_by: int | None = None
        self._ends_at: float | None = None
        self._timer = self._loop.call_later(min(_WATCH_AFTER, self._left()), self._look)

    def stop(self) -> None:
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()

    def _left(self) -> float:
        """Seconds until the call's time is up, by the loop's clock, which nobody sets back."""
        end_by, now = self._turn.end_by, self._loop.time()
        if end_by is not None and end_by != self._end_by:
            self._end_by = end_by
            self._ends_at = now + end_by / 1000 - self._turn.now()
        return _WATCH_AFTER if self._ends_at is None else max(self._ends_at - now, 0.0)

    def _look(self) -> None:
        left = self._left()
        if left <= 0:
            log.error("run %s: the call's time (timeouts.step) is up", self._turn.invoke.run_id)
            self._turn.time_out()
            return
        if self._listener is None and self._request.gone is not None:
            self._listener = self._loop.create_task(self._listen())
        self._timer = self._loop.call_later(left, self._look)

    async def _listen(self) -> None:
        assert self._request.gone is not None
        await self._request.gone()
        self._turn.end()
        self.heard_hang_up = True
        if self.task is not None:
            self.task.cancel()
