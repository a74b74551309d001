"""Reports finished steps to the engine while their calls are under way: one request for all that has gathered
meanwhile.

At most `_UNDER_WAY` requests are on their way to one address; what comes in between waits for the next one to return,
so that many runs share few commits and a single run is never held up. A report whose fate is unknown is sent again,
which is safe, until its call's time is up; after that the call ends without an answer, and the engine goes by what it
has committed.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import pydantic_core

from stepwell.current import log
from stepwell.turn import CheckpointLost
from stepwell_protocol import headers
from stepwell_protocol.client import HttpClient
from stepwell_protocol.http_errors import HttpError, NotSent
from stepwell_protocol.signing import SignatureRefused, sign_v2, verify_v2
from stepwell_protocol.strict_json import Codec
from stepwell_protocol.wire import (
    CheckpointItem,
    CheckpointReply,
    decode_checkpoint_reply,
    encode_checkpoint,
)

CODEC: Final = Codec(loads=pydantic_core.from_json, dumps=pydantic_core.to_json)

_UNDER_WAY: Final = 2
_MOST_ITEMS: Final = 500
_TIMEOUT: Final = 10.0
_PAUSES: Final = (0.02, 0.1, 0.5, 1.0)

_Pending = tuple[CheckpointItem, float, "asyncio.Future[CheckpointReply]"]


class Checkpoints:
    """The checkpointer of a process. It belongs to one event loop."""

    def __init__(
        self,
        http: HttpClient,
        *,
        app_id: Callable[[], str],
        keys: Callable[[], tuple[str, ...]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._app_id = app_id
        self._keys = keys
        self._now = now
        self._waiting: dict[str, list[_Pending]] = {}
        self._senders: dict[str, set[asyncio.Task[None]]] = {}

    async def report(self, url: str, item: CheckpointItem, *, until: float) -> CheckpointReply:
        """The engine's reply to one item.

        Raises:
            CheckpointLost: none could be had by `until` (unix seconds).
        """
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[CheckpointReply] = loop.create_future()
        waiting = self._waiting.setdefault(url, [])
        waiting.append((item, until, reply))
        if len(waiting) == 1:
            loop.call_soon(self._start, url)
        return await reply

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = [task for senders in self._senders.values() for task in senders]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, url: str) -> None:
        senders = self._senders.setdefault(url, set())
        if len(senders) < _UNDER_WAY and self._waiting.get(url):
            task = asyncio.get_running_loop().create_task(self._send_all(url))
            senders.add(task)
            task.add_done_callback(lambda done: self._ended(url, done))

    def _ended(self, url: str, task: asyncio.Task[None]) -> None:
        self._senders[url].discard(task)
        if not self._senders[url] and not self._waiting.get(url):
            self._senders.pop(url)
            self._waiting.pop(url, None)
        else:
            self._start(url)

    async def _send_all(self, url: str) -> None:
        """Send what waits, batch by batch, until nothing waits."""
        while waiting := self._waiting.get(url):
            batch, self._waiting[url] = waiting[:_MOST_ITEMS], waiting[_MOST_ITEMS:]
            try:
                await self._send(url, batch)
            finally:
                for _, _, reply in batch:
                    if not reply.done():
                        reply.set_exception(CheckpointLost())

    async def _send(self, url: str, batch: list[_Pending]) -> None:
        body = encode_checkpoint([item for item, _, _ in batch])
        for pause in (*_PAUSES, None):
            try:
                replies = await self._exchange(url, body, count=len(batch))
            except (HttpError, ValueError, SignatureRefused) as error:
                until = max(until for _, until, _ in batch)
                if pause is None or self._now() + pause >= until:
                    log.warning("a checkpoint to %s was lost: %s", url, error)
                    return
                await asyncio.sleep(pause)
                continue
            for (_, _, reply), answer in zip(batch, replies, strict=True):
                if not reply.done():
                    reply.set_result(answer)
            return

    async def _exchange(self, url: str, body: bytes, *, count: int) -> list[CheckpointReply]:
        keys = self._keys()
        sent = {
            headers.CONTENT_TYPE: headers.JSON,
            headers.APP: self._app_id(),
            headers.PROTOCOL: "2",
            headers.SIGNATURE: sign_v2(body, keys[0], now=self._now()),
        }
        response = await self._http.request("POST", url, headers=sent, body=body, timeout=_TIMEOUT)
        if response.status != 200:
            raise NotSent(f"HTTP {response.status}: {response.body[:200].decode('utf-8', 'replace')}")
        verify_v2(response.body, response.header(headers.SIGNATURE), keys, now=self._now())
        replies = decode_checkpoint_reply(response.body, codec=CODEC)
        if len(replies) != count:
            raise ValueError(f"the reply has {len(replies)} items for {count} reports")
        return replies
