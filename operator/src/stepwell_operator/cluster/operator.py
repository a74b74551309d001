"""The operator's process: stands for the Lease, and while it holds it watches, sweeps and reconciles."""

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
from datetime import UTC, datetime

from stepwell_engine.clock import SystemClock
from stepwell_engine.errors import Unavailable
from stepwell_engine.journal import Journal
from stepwell_engine.settings import Settings
from stepwell_protocol.client import HttpClient

from ..context import Context
from ..objects import Json
from ..options import Options
from ..queue import Queue
from ..reconciler import Reconciler
from ..sweep import Sweep
from ..sweeper import Sweeper
from .access import find_access
from .client import Client
from .health import Health
from .leader import Leader
from .source import Source
from .world import ClusterWorld

_log = logging.getLogger("stepwell.operator")

RETRY_SECONDS = 2.0


class Operator:
    """One process. `run` ends on SIGTERM or SIGINT; when the watch ends by itself it stands for the Lease anew."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._clock = SystemClock()
        self._stopping = asyncio.Event()
        self._started = False
        self._sweeper: Sweeper | None = None

    async def run(self) -> None:
        self._listen_for_signals()
        access = find_access()
        health = Health(
            host=self._settings.host, port=self._settings.port, trouble=self._trouble, ready=lambda: self._started
        )
        await health.start()
        try:
            async with Client(access) as client, HttpClient() as http:
                journal = await self._journal()
                if journal is None:
                    return
                async with journal:
                    self._started = True
                    leader = Leader(
                        client,
                        namespace=self._options.lease_namespace or access.namespace,
                        identity=f"{socket.gethostname()}_{os.getpid()}",
                        clock=self._clock,
                    )
                    await self._serve(leader, client, http, journal)
        finally:
            await health.stop()

    async def _serve(self, leader: Leader, client: Client, http: HttpClient, journal: Journal) -> None:
        """Stand for the Lease again and again, until told to stop."""
        stop = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            while not self._stopping.is_set():
                turn = asyncio.create_task(
                    leader.run(lambda: self._lead(client, http, journal, identity=leader.identity)), name="turn"
                )
                await asyncio.wait({turn, stop}, return_when=asyncio.FIRST_COMPLETED)
                if not turn.done():
                    turn.cancel()
                (error,) = await asyncio.gather(turn, return_exceptions=True)
                if isinstance(error, Exception):
                    _log.error("the turn ended, and another one is tried: %s", error)
                    await self._pause()
        finally:
            stop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await stop

    async def _lead(self, client: Client, http: HttpClient, journal: Journal, *, identity: str) -> None:
        options, namespaces = self._options, self._options.namespaces
        world = ClusterWorld(client, namespaces=namespaces, identity=identity)
        context = Context(
            world=world,
            journal=journal,
            http=http,
            clock=self._clock,
            now=lambda: datetime.now(UTC),
            gateway_url=options.gateway_url,
        )
        queue = Queue(Reconciler(context).reconcile, rng=random.Random())  # noqa: S311 - spreads retries, keeps no secret
        sweep = Sweep(context, enqueue=queue.add, namespaces=namespaces)
        sweeper = self._sweeper = Sweeper(sweep, every=options.resync_seconds)

        def deleted(obj: Json) -> None:
            sweep.note_deletion(obj)
            sweeper.soon()

        world.store.changed = queue.add
        source = Source(client.access, world.store, deleted=deleted, namespaces=namespaces)
        sweeping = asyncio.create_task(sweeper.run(), name="sweep")
        queue.start()
        try:
            await source.run()
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            await queue.stop()

    async def _journal(self) -> Journal | None:
        """Postgres may come later than we do. None: told to stop while waiting."""
        while not self._stopping.is_set():
            try:
                return await Journal.open(
                    self._settings.database_url, sealer=self._settings.sealer, size=self._settings.pool_size
                )
            except Unavailable as error:
                _log.warning("waiting for Postgres: %s", error)
                await self._pause()
        return None

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self._stopping.wait()

    def _trouble(self) -> str | None:
        if self._sweeper is not None and self._sweeper.deaf:
            return "the watch is deaf: lists show changes that it does not tell"
        return None

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
