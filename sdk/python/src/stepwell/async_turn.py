"""How async handlers run, with branches side by side.

As long as one thing happens after the other, it is certain where a call ends: the handler itself waits, and an
`Interrupt` is raised there. Where branches run side by side (`step.parallel`, `asyncio.gather`, tasks), a branch that
has to wait waits, and the call ends when all branches do: when no step runs and, for a few turns of the event loop, no
other starts. What a branch awaits outside of steps cannot be seen from here; while there is something to report, the
call may end during it, and the branch comes there again in the next call. Slow things belong into steps.
"""

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

from stepwell.current import log
from stepwell.errors import Interrupt
from stepwell.turn import Surroundings, Turn
from stepwell.waiting import is_known_to_wait
from stepwell_protocol.wire import CheckpointItem, CheckpointReply, Invoke, Operation

#: Turns of the event loop without a new step after which all branches are taken to be waiting.
_SETTLED: Final = 4
#: The same in seconds, when there is nothing to report and what the handler waits for cannot be seen: time for what a
#: branch awaits outside of steps.
_PATIENCE: Final = 0.5


class AsyncTurn(Turn):
    """One call of an async handler. All of it runs in one event loop."""

    def __init__(self, invoke: Invoke, around: Surroundings) -> None:
        """Made in the task that runs the call."""
        super().__init__(invoke, around)
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task(self._loop)
        self._flusher: asyncio.Task[None] | None = None
        self._settling: asyncio.Handle | None = None
        self._interrupting = False
        self._over = False
        self._branches: set[asyncio.Task[Any]] = set()
        self._blocked: dict[str, asyncio.Future[None]] = {}
        self._late: set[str] = set()

    async def run(self, handler: Awaitable[Any], *, encode: Callable[[Any], bytes]) -> list[Operation]:
        """Run the handler and give the operations to answer with.

        Raises:
            CheckpointLost: there must be no answer.
            asyncio.CancelledError: the request was cancelled.
        """
        output: Any = None
        failure: BaseException | None = None
        try:
            output = await handler
        except asyncio.CancelledError as cancelled:
            if not self._interrupting:
                await self._stop_branches()
                raise
            assert self._main is not None
            self._main.uncancel()
            failure = cancelled
        except BaseException as error:  # noqa: BLE001 - whatever the handler raises becomes data; exits pass in conclude
            failure = error
        finally:
            self._over = True
        ops = self.conclude(output, failure, encode=encode)
        failure = None  # its traceback leads back here: a cycle around all that the call has touched
        self.end()
        if self._branches or self._flusher is not None:
            await self._stop_branches()
        return ops

    def arrive(self) -> None:
        task = asyncio.current_task(self._loop)
        if task is not self._main and task is not None and task not in self._branches:
            self._branches.add(task)
            task.add_done_callback(self._branches.discard)

    def time_out(self) -> None:
        """End the call because its time is up; code that runs is cancelled."""
        self.timed_out = True
        self.end()
        self._interrupt()

    async def wait(self, id: str, *, late: bool = False) -> None:
        if self.closed:
            raise Interrupt
        if asyncio.current_task(self._loop) is self._main and not self.concurrent():
            if self.can_advance():
                await self._report()
                if self.knows(id):
                    return
            self.end()
            raise Interrupt
        future = self._blocked[id] = self._loop.create_future()
        if late:
            self._late.add(id)
        self._consider()
        try:
            await future
        finally:
            self._blocked.pop(id, None)
            self._late.discard(id)

    def concurrent(self) -> bool:
        return bool(self._branches or self.running or self._blocked or self._flusher)

    async def run_code(
        self, id: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        mark = self.enter(id)
        function = self.around.fakes.get(id, function)
        try:
            if inspect.iscoroutinefunction(function):
                return await function(*args, **kwargs)
            work = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
            result = await self._loop.run_in_executor(self.around.executor(), work)
            return await result if inspect.isawaitable(result) else result
        finally:
            self.leave(id, mark)
            if self._blocked:
                self._loop.call_soon(self._consider)

    async def _send(self, item: CheckpointItem, *, url: str, until: float) -> CheckpointReply:
        assert self.checkpointer is not None
        return await self.checkpointer.report(url, item, until=until)

    def _unfinished(self) -> list[str]:
        return [*self.running, *self._blocked]

    def _consider(self) -> None:
        """Begin to see whether all branches wait."""
        if self._settling is not None:
            self._settling.cancel()
        self._tick(_SETTLED)

    def _tick(self, left: int) -> None:
        self._settling = None
        if self.running or self._flusher is not None or self.closed or not self._blocked:
            return
        if left > 0:
            self._settling = self._loop.call_soon(self._tick, left - 1)
        elif left == 0 and not self.replay.ops and not self._surely_waits():
            self._settling = self._loop.call_later(_PATIENCE, self._tick, -1)
        elif self.can_advance():
            self._flusher = self._loop.create_task(self._flush())
        else:
            self.end()
            self._interrupt()

    def _surely_waits(self) -> bool:
        return is_known_to_wait(self._main, at=set(self._blocked.values()))

    async def _flush(self) -> None:
        try:
            await self._report()
        except Interrupt:
            self._interrupt()
            return
        finally:
            self._flusher = None
        for step, future in self._blocked.items():
            if (step in self._late or self.knows(step)) and not future.done():
                future.set_result(None)
        self._consider()

    def _interrupt(self) -> None:
        if self._over or self._interrupting or self._main is None:
            return  # a second cancel would hit whatever the request's task does after the handler
        self._interrupting = True
        self._main.cancel()

    async def _stop_branches(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
        leftover = [task for task in (*self._branches, self._flusher) if task is not None and not task.done()]
        for task in leftover:
            task.cancel()
        for outcome in await asyncio.gather(*leftover, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.warning("run %s: a branch failed while it was stopped: %r", self.invoke.run_id, outcome)
