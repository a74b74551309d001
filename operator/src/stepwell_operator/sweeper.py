"""Runs the sweep: at once, then every so often, and soon after a deletion was heard of."""

import asyncio
import logging

from stepwell_engine.errors import Unavailable

from .stopping import told_to_stop
from .sweep import Sweep
from .world import WorldError

_log = logging.getLogger("stepwell.operator")

RETRY_SECONDS = 2.0
SETTLE_SECONDS = 0.2
DEAF_PASSES = 3


class Sweeper:
    """`deaf`: pass after pass found changes that the watch had not told."""

    def __init__(self, sweep: Sweep, *, every: float) -> None:
        self._sweep = sweep
        self._every = every
        self._soon = asyncio.Event()
        self._passes_with_missed = 0
        self._first = True

    def soon(self) -> None:
        """Something was deleted."""
        self._soon.set()

    @property
    def deaf(self) -> bool:
        return self._passes_with_missed >= DEAF_PASSES

    async def run(self) -> None:
        """Sweep until cancelled."""
        while not told_to_stop():
            pause = self._every if await self._once() else RETRY_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._soon.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                continue

    async def _once(self) -> bool:
        self._soon.clear()
        try:
            swept = await self._sweep.run()
        except (WorldError, Unavailable) as error:
            _log.warning("the sweep is put off: %s", error)
            return False
        self._passes_with_missed = self._passes_with_missed + 1 if swept.missed and not self._first else 0
        self._first = False
        return True
