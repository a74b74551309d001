"""Leases that nobody renewed: queued again, spread over a moment, so that a dead worker's runs don't come back as one herd.
Runs whose leases are lost again and again are quarantined. Runs over their `timeouts.run` end here too."""

import random
from datetime import timedelta

from ..journal import Control, Queue
from .service import Service

_BATCH = 200
_SPREAD = timedelta(milliseconds=200)


class Reaper(Service):
    def __init__(self, queue: Queue, control: Control, *, rest: float, rng: random.Random) -> None:
        super().__init__(name="reaper", rest=rest, rng=rng)
        self._queue = queue
        self._control = control

    async def tick(self) -> float | None:
        overdue = await self._queue.overdue()
        more = await self._reap() if overdue.leases else False
        if overdue.runs:
            more = await self._control.expire() > 0 or more
        return 0 if more else None

    async def _reap(self) -> bool:
        """Whether there may be more."""
        count, quarantined = await self._queue.reap(limit=_BATCH, spread=_SPREAD)
        for run_id in quarantined:
            self._log.error("run %s is quarantined: it lost five leases in a row", run_id)
        if count:
            self._log.warning("%d expired leases were queued again", count)
        return count == _BATCH
