"""Reconcile manifest files until cancelled: the cluster's reconcilers over a `FileWorld`."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from stepwell_engine.clock import SystemClock
from stepwell_engine.journal import Journal
from stepwell_engine.settings import Settings
from stepwell_protocol.client import HttpClient

from ..context import Context
from ..queue import Queue
from ..reconciler import Reconciler
from ..sweep import Sweep
from ..sweeper import Sweeper
from .world import FileWorld

LOOK_EVERY_SECONDS = 0.5
RESYNC_SECONDS = 30.0


async def run(
    paths: Sequence[Path], *, settings: Settings, say: Callable[[str], None], gateway_url: str | None = None
) -> None:
    """Open the journal and reconcile. Raises Unavailable when Postgres can't be reached at the start."""
    async with (
        await Journal.open(settings.database_url, sealer=settings.sealer, size=4) as journal,
        HttpClient() as http,
    ):
        await reconcile_files(paths, journal=journal, http=http, say=say, gateway_url=gateway_url)


async def reconcile_files(
    paths: Sequence[Path],
    *,
    journal: Journal,
    http: HttpClient,
    say: Callable[[str], None],
    gateway_url: str | None = None,
) -> None:
    """Reconcile until cancelled; files are read again within a second of their change."""
    world = FileWorld(paths, say=say)
    context = Context(
        world=world,
        journal=journal,
        http=http,
        clock=SystemClock(),
        now=lambda: datetime.now(UTC),
        gateway_url=gateway_url,
    )
    queue = Queue(Reconciler(context).reconcile, rng=random.Random())  # noqa: S311 - spreads retries, keeps no secret
    world.store.changed = queue.add
    listing = await world.list_all()
    namespaces = frozenset({"", *(key.namespace for key in listing.objects)})
    sweep = Sweep(context, enqueue=queue.add, namespaces=namespaces)
    sweeper = Sweeper(sweep, every=RESYNC_SECONDS)
    queue.start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sweeper.run(), name="sweep")
            group.create_task(_watch(world, sweeper), name="watch")
    finally:
        await queue.stop()


async def _watch(world: FileWorld, sweeper: Sweeper) -> None:
    seen = world.fingerprint()
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        found = world.fingerprint()
        if found != seen:
            seen = found
            sweeper.soon()
