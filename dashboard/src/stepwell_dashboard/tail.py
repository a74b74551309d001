"""One poller a process that tells every open stream when there is something new for it to read.

It carries no data: a stream that is woken reads what lies behind its own cursor. So nothing is ever buffered for a slow
client, nobody's reading delays another's, and a stream that was away, or lost a wake-up, still misses nothing. The whole
cost of any number of idle streams is one small query every `slowest` seconds; the poller goes faster while there is
news, starts with the first stream and ends with the last.

When Postgres is away the poller keeps trying at its slowest pace, and a stream that finds it so ends: its client comes
back with its cursor.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import UUID

from stepwell_engine.errors import StepwellError, Unavailable
from stepwell_engine.journal import Views
from stepwell_engine.journal.summaries import TailRow

_log = logging.getLogger(__name__)
MOST_STREAMS = 512


class Watcher:
    """One stream's ear. `topic` is a run, or None for the list of all runs."""

    def __init__(self, topic: UUID | None) -> None:
        self.topic = topic
        self.closing = False
        self._news = asyncio.Event()

    def wake(self) -> None:
        self._news.set()

    async def wait(self, timeout: float) -> bool:
        """Whether there was news within `timeout` seconds. What arrives while the stream reads wakes it at once after."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout)
        heard = self._news.is_set()
        self._news.clear()
        return heard


class Tail:
    def __init__(self, views: Views, *, fastest: float = 0.1, slowest: float = 0.5) -> None:
        self._views = views
        self.fastest = fastest
        self.slowest = slowest
        self._watchers: set[Watcher] = set()
        self._heads: dict[UUID | None, tuple[int, int, UUID]] = {}
        self._poke = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._closed = False
        self.polls = 0
        self.interval = fastest

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    @property
    def idle(self) -> bool:
        """Whether nothing polls: nobody follows anything."""
        return self._poller is None or self._poller.done()

    @contextmanager
    def watch(self, topic: UUID | None) -> Iterator[Watcher]:
        """Raises Unavailable when this process has all the streams it can carry, or is stopping."""
        if self._closed or len(self._watchers) >= MOST_STREAMS:
            raise Unavailable("this dashboard carries no more streams: try again in a few seconds")
        watcher = Watcher(topic)
        self._watchers.add(watcher)
        self._poke.set()
        if self.idle:
            self._poller = asyncio.create_task(self._poll(), name="stream tail")
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._poke.set()

    def stop(self) -> None:
        """End every stream. Called before the server waits for its connections to close."""
        self._closed = True
        for watcher in self._watchers:
            watcher.closing = True
            watcher.wake()
        self._poke.set()

    async def close(self) -> None:
        """Stop, and wait for the poller. A second call is harmless."""
        self.stop()
        if self._poller is not None:
            self._poller.cancel()
            with suppress(asyncio.CancelledError):
                await self._poller
            self._poller = None

    async def _poll(self) -> None:
        self.interval = self.fastest
        while self._watchers:
            self._poke.clear()
            self.polls += 1
            topics = {watcher.topic for watcher in self._watchers}
            try:
                rows = await self._views.tail([topic for topic in topics if topic is not None])
            except StepwellError as error:
                _log.warning("streams are not followed: %s", error)
                self.interval = self.slowest
            else:
                news = self._advance(topics, rows)
                self.interval = self.fastest if news else min(self.interval * 1.5, self.slowest)
                for watcher in self._watchers:
                    if watcher.topic in news:
                        watcher.wake()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poke.wait(), self.interval)
        self._heads.clear()

    def _advance(self, topics: set[UUID | None], rows: Sequence[TailRow]) -> set[UUID | None]:
        """Remember where each topic stands now; the topics that moved."""
        heads = {row.run_id: (row.changed, row.ordinal, row.changed_id) for row in rows}
        moved = {topic for topic in topics if heads.get(topic) != self._heads.get(topic)}
        self._heads = {topic: head for topic, head in heads.items() if topic in topics}
        return moved
