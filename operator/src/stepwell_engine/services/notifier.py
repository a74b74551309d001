"""Hints between processes: "there may be work", by NOTIFY, debounced, on a connection of its own.

Never the truth: everybody polls. A hint is sent after the commit it is about and outside its transaction, at most every few
milliseconds a channel, because a NOTIFY inside hot transactions serialises their commits. While the connection is away
hints are lost and polling carries on; it is opened again with backoff.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping

from ..errors import Unavailable
from ..journal.database import Connection, Database, Lost
from .service import Service

_DEBOUNCE = 0.005
CHANNEL = "stepwell"

#: There may be runs to claim and events to match.
WORK = "work"


class Notifier(Service):
    """`listeners`: what to do when a hint of that name arrives. `hint(name)` tells the other processes."""

    def __init__(self, database: Database, *, listeners: Mapping[str, Callable[[], None]], rng: random.Random) -> None:
        super().__init__(name="notifier", rest=0, rng=rng)
        self._database = database
        self._listeners = listeners
        self._wanted: set[str] = set()
        self._sending: asyncio.Task[None] | None = None

    def hint(self, name: str) -> None:
        self._wanted.add(name)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="notifier-send")

    def work_made(self) -> None:
        """There may be runs to claim and events to match."""
        self.hint(WORK)

    async def tick(self) -> float | None:
        """Listen until the connection breaks or the service stops."""
        try:
            connection = await self._database.dedicated()
        except Lost as error:
            raise Unavailable(f"no connection to listen on: {error}") from error
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(connection.close)
            try:
                await connection.execute(f"listen {CHANNEL}")
                await self._listen(connection)
            except Lost as error:
                raise Unavailable(f"the listening connection broke: {error}") from error
        return 0

    async def stop(self) -> None:
        await super().stop()
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _listen(self, connection: Connection) -> None:
        # A hint may have been missed while nobody listened.
        for poke in self._listeners.values():
            poke()
        while not self.stopping:
            async for notice in connection.notifies(timeout=0.5, stop_after=1):
                if notice.payload in self._listeners:
                    self._listeners[notice.payload]()

    async def _send(self) -> None:
        while self._wanted:
            names, self._wanted = sorted(self._wanted), set()
            with contextlib.suppress(Unavailable):
                async with self._database.connection(duty=True) as connection:
                    await connection.execute(
                        "select pg_notify(%s, name) from unnest(%s::text[]) name", [CHANNEL, names]
                    )
            await asyncio.sleep(_DEBOUNCE)
