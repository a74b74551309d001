"""Sleeps, timeouts and backoffs that are due. Rests exactly until the next one when that is near."""

import random
from collections.abc import Callable
from datetime import datetime

from ..journal import Waits
from .service import Service

_BATCH = 500


class Timers(Service):
    def __init__(self, waits: Waits, *, rest: float, rng: random.Random, work_made: Callable[[], None]) -> None:
        super().__init__(name="timers", rest=rest, rng=rng)
        self._waits = waits
        self._work_made = work_made
        self._next: datetime | None = None

    def set(self, due: datetime) -> None:
        """A wait with this due time is on record: it may be the next one."""
        if self._next is None or due < self._next:
            self.poke()

    async def tick(self) -> float | None:
        woken = await self._waits.resolve_due(limit=_BATCH)
        if woken.count:
            self._work_made()
        if woken.more:
            return 0
        # A due time in the past that was not resolved is in another process's hands: look again soon.
        self._next = woken.next_at
        return None if woken.next_in is None else max(woken.next_in, 0.01)
