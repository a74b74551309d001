"""The answers to a request with several calls, each on its way as soon as it is there.

The calls run side by side, each in a task of its own. When the engine hangs up, all of them are cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from stepwell.current import log
from stepwell.watch import HungUp
from stepwell_protocol.sharing import encode_part

_NOBODY_LISTENS: Final = 499
#: What the engine takes for "it may have started, and more is not known".
_UNKNOWN: Final = 504


class Stream:
    """The parts of one answer. Whoever has it takes parts until there are no more, and closes it in any case."""

    def __init__(
        self,
        calls: Sequence[Any],
        answer: Callable[[Any], Awaitable[tuple[int, bytes]]],
        *,
        gone: Callable[[], Awaitable[None]] | None,
        key: str,
        now: Callable[[], float],
    ) -> None:
        """Make a stream. Nothing runs before the first part is asked for.

        Args:
            calls: the calls, parsed.
            answer: gives one call's status and body; raises HungUp when nobody listens.
            gone: returns when the engine has hung up. Servers tell that once, so `hung_up` is for the calls.
            key: what the parts are signed with.
            now: unix time in seconds.
        """
        self._calls = calls
        self._answer = answer
        self._gone = gone
        self._key = key
        self._now = now
        self._answered: list[tuple[int, int, bytes]] = []
        self._left = len(calls)
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: asyncio.Future[None] | None = None
        self._taker: asyncio.Future[None] | None = None

    async def part(self) -> tuple[bytes, bool]:
        """What has been answered since the last part, one call at least, and whether more is to come."""
        loop = asyncio.get_running_loop()
        if not self._tasks:
            self._tasks = [loop.create_task(self._one(place, call)) for place, call in enumerate(self._calls)]
        while not self._answered and self._left:
            self._taker = loop.create_future()
            await self._taker
        answered, self._answered = self._answered, []
        return encode_part(answered, key=self._key, now=self._now()), self._left > 0

    async def hung_up(self) -> None:
        """Return when the engine has hung up."""
        assert self._gone is not None
        if self._listening is None:
            self._listening = asyncio.ensure_future(self._gone())
        await asyncio.shield(self._listening)

    async def close(self) -> None:
        """Cancel what has not ended."""
        if self._listening is not None:
            self._listening.cancel()
        if self._left:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _one(self, place: int, call: Any) -> None:
        status, body = _UNKNOWN, b""
        try:
            status, body = await self._answer(call)
        except HungUp:
            status = _NOBODY_LISTENS
        except Exception:  # noqa: BLE001 - the request's other calls go on
            log.exception("a call could not be answered")
        finally:
            self._answered.append((place, status, body))
            self._left -= 1
            if self._taker is not None and not self._taker.done():
                self._taker.set_result(None)
