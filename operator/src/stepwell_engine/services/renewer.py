"""Lease renewal, all of a worker's leases in one statement, on connections that nothing else can keep busy. A lease that
can't be renewed is lost: its call is cancelled, and whatever it still answers is refused by the fence."""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID

from ..clock import Clock
from ..driving.leased import LeaseClock, LeasedRun
from ..journal import Queue
from .service import Service


class Renewer(Service):
    def __init__(
        self,
        queue: Queue,
        *,
        leased: Mapping[UUID, LeasedRun],
        lose: Callable[[LeasedRun], None],
        lease: timedelta,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        super().__init__(name="renewer", rest=lease.total_seconds() / 3, rng=rng)
        self._queue = queue
        self._leased = leased
        self._lose = lose
        self._lease = lease
        self._clock = clock

    async def tick(self) -> float | None:
        held = list(self._leased.values())
        if not held:
            return None
        asked_at = self._clock.monotonic()
        renewed = await self._queue.renew([(run.run_id, run.token) for run in held], lease=self._lease)
        for run in held:
            fresh = renewed.get((run.run_id, run.token))
            if fresh is not None:
                run.clock = LeaseClock(fresh.now, asked_at, fresh.lease_until)
            elif self._leased.get(run.run_id) is run:
                self._lose(run)
        return None
