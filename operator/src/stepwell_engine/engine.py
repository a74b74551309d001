"""One engine process: a worker, the duties that every engine shares, and the gateway, put together and run.

`Engine` owns all that lives in the process. `start` opens Postgres and begins; `stop` drains: the worker claims nothing more,
calls under way are finished within a bound and committed, what is left is released. Everything is safe to be killed at any
instant: another engine goes on from the journal when the leases have expired.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from .clock import Clock, Ids, SystemClock
from .driving.catalog import Catalog
from .driving.tools import Tools
from .gateway import Application, Checkpoints, create_app
from .journal import Journal
from .services.completer import Completer
from .services.notifier import WORK, Notifier
from .services.pruner import Pruner
from .services.reaper import Reaper
from .services.renewer import Renewer
from .services.router import Router
from .services.scheduler import Scheduler
from .services.service import Service
from .services.timers import Timers
from .services.worker import Worker
from .settings import Settings
from .transport.caller import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Build with `await Engine.open(settings)`, then `start()`, and `await stop()` in the end."""

    journal: Journal
    application: Application
    worker: Worker
    services: tuple[Service, ...]
    caller: Caller
    completer: Completer

    @classmethod
    async def open(
        cls, settings: Settings, *, checkpoint_url: str | None = None, clock: Clock | None = None
    ) -> "Engine":
        """Raises Unavailable or SchemaMismatch. Nothing runs before `start`."""
        clock = clock or SystemClock()
        rng = random.Random()  # noqa: S311 - jitter
        ids = Ids(clock=clock)
        journal = await Journal.open(settings.database_url, sealer=settings.sealer, ids=ids, size=settings.pool_size)
        worker = Worker(
            journal.queue,
            owner=ids.uuid7(),
            catalog=Catalog(journal.definitions),
            lease=settings.lease,
            max_runs=settings.max_runs,
            drain=settings.drain,
            clock=clock,
            rng=rng,
        )
        timers = Timers(journal.waits, rest=1.0, rng=rng, work_made=worker.poke)
        router = Router(journal.waits, rest=1.0, rng=rng, work_made=worker.poke)
        scheduler = Scheduler(journal.schedules, rest=2.0, rng=rng, work_made=worker.poke)

        def work_made(*, awaited: bool = False) -> None:
            worker.poke()
            if awaited:
                router.poke()

        def work_made_elsewhere() -> None:
            work_made(awaited=True)

        def timer_set(due: datetime) -> None:
            timers.set(due)

        notifier = Notifier(journal.hints, listeners={WORK: work_made_elsewhere}, rng=rng)
        caller = Caller(clock=clock, max_connections=settings.max_runs)
        completer = Completer(journal.queue, rng=rng)
        worker.tools = Tools(
            caller=caller,
            completer=completer,
            queue=journal.queue,
            intake=journal.intake,
            clock=clock,
            rng=rng,
            checkpoint_url=settings.checkpoint_url or checkpoint_url,
            draining=lambda: worker.stopping,
            crowded=lambda: worker.crowded,
            company=lambda: len(worker.leased) > 1,
            timer_set=timer_set,
            work_made=work_made,
        )
        renewer = Renewer(
            journal.queue, leased=worker.leased, lose=worker.lose, lease=settings.lease, clock=clock, rng=rng
        )
        reaper = Reaper(journal.queue, journal.control, rest=min(1.0, settings.lease.total_seconds() / 4), rng=rng)
        pruner = Pruner(journal.retention, rest=timedelta(minutes=1).total_seconds(), rng=rng)
        return cls(
            journal=journal,
            application=create_app(journal, settings, work_made=work_made, checkpoints=Checkpoints(worker.runs)),
            worker=worker,
            services=(notifier, timers, router, scheduler, reaper, pruner, renewer),
            caller=caller,
            completer=completer,
        )

    def start(self) -> None:
        for service in (*self.services, self.worker):
            service.start()

    async def stop(self) -> None:
        """Drain, then end everything. Stopping twice is harmless."""
        await self.worker.stop()
        with contextlib.suppress(TimeoutError):
            # What Postgres doesn't take now is refused or taken by its fence later.
            await asyncio.wait_for(self.completer.drain(), timeout=5)
        for service in self.services:
            await service.stop()
        await self.caller.close()
        await self.journal.close()
