"""How plain (not async) handlers run: in a thread of their own, one step after the other.

The step's code runs in the same thread, so that what belongs to a thread (a Django connection, a transaction) is the
same before and inside a step. Async functions given to a step run in the event loop while the thread waits. The async
code of `Step` is the one source for both kinds of handler: here nothing in it ever suspends, and `drive` runs it to its
end.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from stepwell.errors import Interrupt, StepFailed
from stepwell.turn import Surroundings, Turn
from stepwell_protocol.wire import CheckpointItem, CheckpointReply, Invoke, Operation

if TYPE_CHECKING:
    from stepwell.later import Later

R = TypeVar("R")

_WAITS: Final = object()


def drive(work: Awaitable[R]) -> R:
    """Run what never suspends to its end, in this thread."""
    try:
        work.__await__().send(None)
    except StopIteration as end:
        return cast(R, end.value)
    raise AssertionError("code that runs in a thread of its own does not wait for the event loop")


class ThreadTurn(Turn):
    """One call of a plain handler."""

    def __init__(self, invoke: Invoke, around: Surroundings) -> None:
        """Made in the event loop's thread."""
        super().__init__(invoke, around)
        self._loop = asyncio.get_running_loop()
        self._gathering = False

    async def run(self, handler: Callable[[], Any], *, encode: Callable[[Any], bytes]) -> list[Operation]:
        """Run the handler in a thread and give the operations to answer with.

        Raises:
            CheckpointLost: there must be no answer.
        """
        output, failure = await self._loop.run_in_executor(
            self.around.executor(), contextvars.copy_context().run, self._outcome, handler
        )
        ops = self.conclude(output, failure, encode=encode)
        self.end()
        return ops

    def _outcome(self, handler: Callable[[], Any]) -> tuple[Any, BaseException | None]:
        self.handler_began = self.now()
        try:
            return handler(), None
        except BaseException as error:  # noqa: BLE001 - handed over to the event loop, which decides
            return None, error

    def time_out(self) -> None:
        """End the call because its time is up. The thread cannot be stopped; it goes no further than its next step."""
        self.timed_out = True
        self.end()

    async def wait(self, id: str, *, late: bool = False) -> None:  # noqa: ARG002 - nothing else runs that could let it go
        if self.closed or self._gathering:
            raise Interrupt
        await self.advance()
        if not self.knows(id):
            self.end()
            raise Interrupt

    def concurrent(self) -> bool:
        return self._gathering

    async def in_turn(self, branches: "Sequence[Later[Any]]") -> list[Any]:
        """Run branches one after the other, each as far as it comes without waiting, and report what they did in one
        go.
        """
        outcomes: list[Any] = []
        self._gathering = True
        try:
            for branch in branches:
                try:
                    outcomes.append(await branch)
                except Interrupt:
                    outcomes.append(_WAITS)
                except Exception as error:  # noqa: BLE001 - raised again below, after the other branches have had their turn
                    outcomes.append(error)
        finally:
            self._gathering = False
        if _WAITS in outcomes:
            await self.advance()
            outcomes = [await self._later_outcome(*each) for each in zip(branches, outcomes, strict=True)]
        return outcomes

    async def _later_outcome(self, branch: "Later[Any]", outcome: Any) -> Any:
        if outcome is not _WAITS:
            return outcome
        if not self.knows(branch.id):
            self.end()
            raise Interrupt
        try:
            return branch.result()
        except StepFailed as error:
            return error

    async def run_code(
        self, id: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        mark = self.enter(id)
        try:
            result = self.around.fakes.get(id, function)(*args, **kwargs)
            if not inspect.isawaitable(result):
                return result
            return asyncio.run_coroutine_threadsafe(_awaited(result), self._loop).result()
        finally:
            self.leave(id, mark)

    async def _send(self, item: CheckpointItem, *, url: str, until: float) -> CheckpointReply:
        assert self.checkpointer is not None
        report = self.checkpointer.report(url, item, until=until)
        return asyncio.run_coroutine_threadsafe(report, self._loop).result()


async def _awaited(work: Awaitable[R]) -> R:
    return await work
