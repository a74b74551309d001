"""Hints between processes, debounced: at most one every few milliseconds, whatever happens in between.

A lost hint costs at most one polling interval. While the listening connection is away it is opened again with backoff.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Protocol

from ..errors import Unavailable
from ..journal.hints import Hints
from .service import Service

_DEBOUNCE = 0.005
_CHECK = 0.5

#: There may be runs to claim and events to match.
WORK = "work"


class WorkMade(Protocol):
    """What is called after a commit that may have made work: there may be runs to claim and, when `awaited`, events that runs wait
    for."""

    def __call__(self, *, awaited: bool = False) -> None: ...


class Notifier(Service):
    """`listeners`: what to do when a hint of that name arrives; none are needed to send hints."""

    def __init__(self, hints: Hints, *, listeners: Mapping[str, Callable[[], None]], rng: random.Random) -> None:
        super().__init__(name="notifier", rest=0, rng=rng)
        self._hints = hints
        self._listeners = listeners
        self._wanted: set[str] = set()
        self._sending: asyncio.Task[None] | None = None

    def work_made(self, *, awaited: bool = False) -> None:  # noqa: ARG002 - one hint stands for both
        """There may be runs to claim and events to match."""
        self._wanted.add(WORK)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="notifier-send")

    async def tick(self) -> float | None:
        """Listen until the connection breaks or the service stops."""
        listening = False
        async with aclosing(self._hints.listen(interval=_CHECK)) as names:
            async for name in names:
                if self.stopping:
                    break
                if not listening:
                    # A hint may have been missed while nobody listened.
                    listening = True
                    for poke in self._listeners.values():
                        poke()
                if name is not None and name in self._listeners:
                    self._listeners[name]()
        return 0

    async def stop(self) -> None:
        if self._task is not None:
            # Listening is not work to be finished, and the next hint may be far away.
            self._task.cancel()
        await super().stop()
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _send(self) -> None:
        while self._wanted:
            names, self._wanted = sorted(self._wanted), set()
            with contextlib.suppress(Unavailable):
                await self._hints.send(names)
            await asyncio.sleep(_DEBOUNCE)
