"""Group commit: everything that arrives while one commit is on its way goes into the next.

An idle process commits each item at once; a busy one has up to `flushers` commits on their way together, and the busier it is,
the more each of them holds. Nothing waits for company. Whoever submits gets a future, answered after the commit of its batch.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gathering(Generic[Item, Answer]):
    """`commit` gets a batch of (item, future) and must answer every future; what it raises goes to those it left."""

    def __init__(
        self,
        commit: Callable[[list[tuple[Item, "asyncio.Future[Answer]"]]], Awaitable[None]],
        *,
        most: int,
        flushers: int,
        name: str,
    ) -> None:
        self._commit = commit
        self._most = most
        self._limit = flushers
        self._name = name
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flushing = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, item: Item) -> "asyncio.Future[Answer]":
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.append((item, future))
        if self._flushing < self._limit:
            self._flushing += 1
            task = self._loop.create_task(self._flush(), name=self._name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def drain(self) -> None:
        """Wait until everything submitted so far is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await self._flush_once()
        finally:
            # In the same breath as the last look: a task that has ended still counts as one for a turn of the loop, and what
            # is submitted in that turn would wait for a flusher that never looks again.
            self._flushing -= 1

    async def _flush_once(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
        try:
            await self._commit(batch)
        except Exception as error:  # noqa: BLE001 - handed to everybody who waits for it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
