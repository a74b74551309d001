"""Server-sent events, as the HTML standard writes them, and the loop that every stream runs.

A stream is two questions: what lies behind my cursor (`read`), and has there been news (`watcher`). Each message carries
as its `id` the cursor behind it, so that a client that comes back with `Last-Event-ID` goes on exactly there. Nothing is
read ahead: a slow client makes its own stream wait and nobody else's. A `ping` every `HEARTBEAT` seconds shows both sides
that the other is there.

When Postgres is away, or the process stops, the stream ends; the client comes back. When the client goes, the loop is
cancelled and its watcher with it.
"""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.responses import StreamingResponse

from stepwell_engine.errors import StepwellError

from .clock import now
from .schemas import Shape
from .tail import Watcher

_log = logging.getLogger(__name__)
HEARTBEAT = 15.0
_RETRY_MILLISECONDS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    event: str
    data: Shape
    id: str
    more: bool = False
    """What follows can be read at once."""

    def encode(self) -> bytes:
        data = self.data.model_dump_json(by_alias=True)
        return f"id: {self.id}\nevent: {self.event}\ndata: {data}\n\n".encode()


async def follow(read: Callable[[], AsyncIterator[Message]], watcher: Watcher) -> AsyncIterator[bytes]:
    """`read` gives what lies behind the stream's cursor and moves it."""
    yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
    more = True
    try:
        while not watcher.closing:
            if more or await watcher.wait(HEARTBEAT):
                more = False
                async for message in read():
                    more = more or message.more
                    yield message.encode()
            else:
                yield b'event: ping\ndata: {"serverTime":"%b"}\n\n' % now().isoformat().encode()
    except StepwellError as error:
        _log.info("a stream ends: %s", error)


def response(stream: AsyncIterator[bytes]) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
