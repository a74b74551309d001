"""Claims due runs, as many as there is room for, and drives each until its lease is over.

A leased run is one task. The worker claims when there is room: at once while runs are waiting, on a hint, and otherwise at
a growing interval up to a second. Draining (`stop`) claims nothing more, gives every run back at its next commit, waits for
calls under way up to a bound, and then releases what is left, so that no one has to wait for those leases to expire.

A bug that breaks a run's task leaves its lease to expire: the run comes back elsewhere, and is quarantined if that repeats.
"""

import asyncio
import logging
import random
from collections import Counter
from datetime import timedelta
from typing import assert_never
from uuid import UUID

from ..clock import Clock
from ..definition import FunctionSpec, WorkflowSpec
from ..driving.catalog import Catalog
from ..driving.function import FunctionRun
from ..driving.leased import LeasedRun
from ..driving.tools import Tools
from ..driving.workflow import WorkflowRun
from ..errors import NotFound, Unavailable
from ..failpoints import failpoint
from ..journal import Queue
from ..journal.queue import Lease
from .service import Service

_MOST_CLAIMED = 128
_LONGEST_REST = 1.0

_log = logging.getLogger("stepwell.worker")


class Worker(Service):
    """`leased` and `runs` are what this worker holds right now, by run id; the renewer and the checkpoints look there."""

    def __init__(
        self,
        queue: Queue,
        *,
        owner: UUID,
        catalog: Catalog,
        lease: timedelta,
        max_runs: int,
        drain: timedelta,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        super().__init__(name="worker", rest=_LONGEST_REST, rng=rng)
        self.leased: dict[UUID, LeasedRun] = {}
        self.runs: dict[UUID, FunctionRun] = {}
        self.tools: Tools
        self._queue = queue
        self._owner = owner
        self._catalog = catalog
        self._lease = lease
        self._max_runs = max_runs
        self._drain = drain
        self._clock = clock
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._in_flight: Counter[str] = Counter()
        self._idle = 0.0
        self._full = False

    @property
    def crowded(self) -> bool:
        """There was more to claim than there was room for."""
        return self._full

    async def tick(self) -> float | None:
        room = min(self._max_runs - len(self._tasks), _MOST_CLAIMED)
        if room <= 0:
            self._full = True
            return None
        asked_at = self._clock.monotonic()
        leases = await self._queue.claim(
            owner=self._owner, limit=room, lease=self._lease, rooms=self._catalog.known_rooms(self._in_flight)
        )
        if leases:
            failpoint("after_claim")
        for lease in leases:
            self._begin(lease, asked_at=asked_at)
        self._full = len(leases) == room
        self._idle = 0.02 if leases else min(max(self._idle, 0.02) * 2, _LONGEST_REST)
        return 0 if len(leases) == room else self._idle

    def lose(self, run: LeasedRun) -> None:
        """The lease could not be renewed: stop the call; the fence refuses whatever still comes of it."""
        run.lost = True
        task = self._tasks.get(run.run_id)
        if task is not None:
            _log.warning("run %s: the lease was lost", run.id)
            task.cancel()

    async def stop(self) -> None:
        await super().stop()
        if self._tasks:
            _log.info("draining %d runs", len(self._tasks))
            await asyncio.wait(self._tasks.values(), timeout=self._drain.total_seconds())
        left = [(run.run_id, run.token) for run in self.leased.values()]
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._queue.release(left)
        except Unavailable as error:
            _log.warning("%d leases could not be given back and will expire: %s", len(left), error)

    def _begin(self, lease: Lease, *, asked_at: float) -> None:
        run = LeasedRun(lease, asked_at=asked_at, lease_length=self._lease)
        self.leased[run.run_id] = run
        self._in_flight[lease.app_id] += 1
        task = asyncio.create_task(self._drive(run), name=run.id)
        self._tasks[run.run_id] = task

    async def _drive(self, run: LeasedRun) -> None:
        try:
            app = await self._catalog.app(run.lease.app_id, generation=run.lease.generation)
            spec = await self._catalog.revision(run.lease.definition_id, run.lease.revision)
            match spec:
                case FunctionSpec():
                    driven = self.runs[run.run_id] = FunctionRun(run, app=app, spec=spec, tools=self.tools)
                    await driven.drive()
                case WorkflowSpec():
                    await WorkflowRun(run, app=app, spec=spec, tools=self.tools).drive()
                case _:
                    assert_never(spec)
        except asyncio.CancelledError:
            pass
        except NotFound as error:
            _log.warning("run %s: %s", run.id, error)
        except Exception:  # noqa: BLE001 - logged; the lease expires and the run is judged elsewhere
            _log.exception("run %s: driving it failed; its lease is left to expire", run.id)
        finally:
            self._end(run)

    def _end(self, run: LeasedRun) -> None:
        if self.leased.get(run.run_id) is run:
            del self.leased[run.run_id]
            self.runs.pop(run.run_id, None)
            self._tasks.pop(run.run_id, None)
        self._in_flight[run.lease.app_id] -= 1
        if self._in_flight[run.lease.app_id] <= 0:
            del self._in_flight[run.lease.app_id]
        if self._full:
            self.poke()
