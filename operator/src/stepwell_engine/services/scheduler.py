"""Cron triggers and Schedules whose instant has come."""

import random
from collections.abc import Callable

from ..journal import Schedules
from .service import Service


class Scheduler(Service):
    def __init__(self, schedules: Schedules, *, rest: float, rng: random.Random, work_made: Callable[[], None]) -> None:
        super().__init__(name="scheduler", rest=rest, rng=rng)
        self._schedules = schedules
        self._work_made = work_made

    async def tick(self) -> float | None:
        started, next_in = await self._schedules.fire()
        if started:
            self._work_made()
            self._log.info("%d scheduled runs started", started)
        return None if next_in is None else max(next_in, 0.01)
