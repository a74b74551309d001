"""The life of a background duty, written once.

A `Service` is a loop with a start and a stop. `tick` does one piece of the duty and answers how long to rest: 0 when there
may be more, None for as long as the service allows. `poke` ends a rest early, which is how hints (a NOTIFY, a neighbour in
the same process) make things quick; polling is the truth and needs none of them. An error in a tick is logged, and the
next one waits longer; when Postgres is away that is all that happens. `stop` ends the rest and waits for the tick under way;
stopping twice is harmless.
"""

import asyncio
import contextlib
import logging
import random

from ..errors import Unavailable

_LONGEST_BACKOFF = 5.0


class Service:
    """Subclass and write `tick`. `rest`: the longest pause between two ticks, in seconds."""

    def __init__(self, *, name: str, rest: float, rng: random.Random) -> None:
        self.name = name
        self._rest = rest
        self._rng = rng
        self._poked = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._log = logging.getLogger(f"stepwell.{name}")

    async def tick(self) -> float | None:
        raise NotImplementedError

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name=self.name)

    def poke(self) -> None:
        self._poked.set()

    @property
    def stopping(self) -> bool:
        return self._stopping

    async def stop(self) -> None:
        self._stopping = True
        self._poked.set()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _loop(self) -> None:
        failures = 0
        while not self._stopping:
            self._poked.clear()
            try:
                rest = await self.tick()
                failures = 0
                rest = self._rest if rest is None else min(rest, self._rest)
            except Unavailable as error:
                failures += 1
                rest = self._backoff(failures)
                self._log.warning("%s; trying again in %.1f s", error, rest)
            except Exception:  # noqa: BLE001 - logged; a duty outlives its failures
                failures += 1
                rest = self._backoff(failures)
                self._log.exception("%s failed; trying again in %.1f s", self.name, rest)
            if rest > 0:
                await self._pause(rest)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._poked.wait()

    def _backoff(self, failures: int) -> float:
        longest: float = min(_LONGEST_BACKOFF, 0.1 * 2 ** min(failures, 8))
        return longest * (0.5 + self._rng.random() / 2)
