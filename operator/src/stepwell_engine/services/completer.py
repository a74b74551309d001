"""Commits what apps answered, many exchanges at a time.

`submit` answers after the commit: `Held`, or None when the run's lease was lost and nothing was written. When the connection
breaks around a commit its outcome is unknown: the completer asks which exchanges are on record and sends the rest again,
until Postgres answers; the fence decides, however late. An exchange that the schema refuses fails alone, not its batch.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from uuid import UUID

from ..errors import Refused, Unavailable
from ..failpoints import failpoint
from ..journal.queue import Exchange, Held, Queue
from .gathering import Gathering

_MOST_EXCHANGES = 400

_log = logging.getLogger("stepwell.completer")

_Waiting = tuple[Exchange, "asyncio.Future[Held | None]"]


class Completer:
    def __init__(self, queue: Queue, *, rng: random.Random) -> None:
        self._queue = queue
        self._rng = rng
        self._gathering: Gathering[Exchange, Held | None] = Gathering(
            self._commit, most=_MOST_EXCHANGES, flushers=2, name="completer"
        )

    def submit(self, exchange: Exchange) -> "asyncio.Future[Held | None]":
        return self._gathering.submit(exchange)

    async def drain(self) -> None:
        """Wait until everything submitted so far is answered."""
        await self._gathering.drain()

    async def _commit(self, batch: list[_Waiting]) -> None:
        failpoint("before_commit")
        failures = 0
        while batch:
            try:
                if failures:
                    batch = _settle(
                        batch, await self._queue.find_accepted([x for x, _ in batch if x.entries]), final=False
                    )
                    if not batch:
                        return
                held = await self._queue.complete([exchange for exchange, _ in batch])
                failpoint("after_commit")
                _settle(batch, held, final=True)
                return
            except Unavailable as error:
                failures += 1
                _log.warning("%d results wait for Postgres: %s", len(batch), error)
                await asyncio.sleep(min(2.0, 0.05 * 2 ** min(failures, 6)) * (0.5 + self._rng.random() / 2))
            except Refused:
                if len(batch) == 1:
                    raise
                # The schema refused something in the batch: find out what, one by one.
                for waiting in batch:
                    await self._commit_one(waiting)
                return

    async def _commit_one(self, waiting: _Waiting) -> None:
        try:
            await self._commit([waiting])
        except Refused as error:
            waiting[1].set_exception(error)


def _settle(batch: list[_Waiting], held: Mapping[UUID, Held], *, final: bool) -> list[_Waiting]:
    """Answer those whose fate is known; give back the others."""
    rest: list[_Waiting] = []
    for exchange, future in batch:
        found = held.get(exchange.run_id)
        if found is None and not final:
            rest.append((exchange, future))
        elif not future.done():
            future.set_result(found)
    return rest
