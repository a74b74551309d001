"""The work queue: which objects to look at, each at most once at a time.

A key that is added while it waits is looked at once; one that is added while it is worked on is looked at again
afterwards. A failure puts the key back with exponential backoff; success forgets its failures. Nothing is kept over a
restart, because the first list adds everything again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable

from stepwell_engine.errors import Unavailable

from .objects import Key
from .stopping import told_to_stop
from .world import StatusConflict, WorldUnavailable

_log = logging.getLogger("stepwell.operator")

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0
CONFLICT_RETRY_SECONDS = 0.05

Work = Callable[[Key], Awaitable[float | None]]


class Queue:
    """`work` handles one key and answers after how many seconds to look again, or None."""

    def __init__(self, work: Work, *, workers: int = 4, rng: random.Random) -> None:
        self._work = work
        self._workers = workers
        self._rng = rng
        self._waiting: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._active: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(), name=f"reconcile-{n}") for n in range(self._workers)]

    async def stop(self) -> None:
        """End the workers after what they are at; harmless twice."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def add(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._disarm(key)
            if key in self._active:
                self._again.add(key)
            elif key not in self._queued:
                self._queued.add(key)
                self._waiting.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at `key` in so many seconds unless something comes earlier."""
        self._disarm(key)
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, lambda: self.add([key]))

    @property
    def idle(self) -> bool:
        return not self._queued and not self._active

    def _disarm(self, key: Key) -> None:
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()

    async def _run(self) -> None:
        while not told_to_stop():
            key = await self._waiting.get()
            self._queued.discard(key)
            self._active.add(key)
            try:
                rest = await self._attempt(key)
            finally:
                self._active.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add([key])
            elif rest is not None:
                self.add_after(key, rest)

    async def _attempt(self, key: Key) -> float | None:
        rest: float | None
        try:
            rest = await self._work(key)
        except StatusConflict:
            return CONFLICT_RETRY_SECONDS
        except (Unavailable, WorldUnavailable) as error:
            _log.warning("%s waits: %s", key, error)
        except Exception:  # noqa: BLE001 - one object's trouble must not stop the others; it is logged and tried again
            _log.exception("%s could not be reconciled; it is tried again", key)
        else:
            self._failures.pop(key, None)
            return rest
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        longest: float = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 16))
        return longest * self._rng.uniform(0.5, 1.0)
