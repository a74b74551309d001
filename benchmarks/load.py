"""A client that costs little, so that it is not what is measured: one keep-alive connection, one request at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httptools
import orjson


class LoadError(Exception):
    """A system under measurement answered something else than success."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One run: from the request that started it until it was durably done, and from each step's start to the next's."""

    seconds: float
    gaps: tuple[float, ...]


class Connection(asyncio.Protocol):
    def __init__(self, host: str) -> None:
        self._host = host.encode()
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._parts: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int, *, host: str = "127.0.0.1") -> "AsyncIterator[Connection]":
        loop = asyncio.get_running_loop()
        transport, connection = await loop.create_connection(lambda: cls(f"{host}:{port}"), host, port)
        try:
            yield connection
        finally:
            transport.close()

    async def request(
        self, path: str, body: object, *, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> Any:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        lines = [b"%b %b HTTP/1.1" % (method.encode(), path.encode()), b"host: " + self._host]
        lines += [f"{name}: {value}".encode() for name, value in (headers or {}).items()]
        lines += [b"content-type: application/json", b"content-length: %d" % len(content), b"", content]
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(b"\r\n".join(lines))
        answer = await self._answer
        return orjson.loads(answer) if answer else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), b"".join(self._parts)
        self._parser, self._parts = httptools.HttpResponseParser(self), []
        if self._answer is None or self._answer.done():
            return
        if status < 300:
            self._answer.set_result(body)
        else:
            self._answer.set_exception(LoadError(f"{status}: {body[:500].decode(errors='replace')}"))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LoadError(f"the connection was lost: {error}"))


async def closed_loop(
    port: int,
    numbers: Iterator[int],
    *,
    concurrency: int,
    one: Callable[[Connection, int], Coroutine[Any, Any, Finished]],
) -> list[Finished]:
    """Keep `concurrency` runs under way, each on its own connection, until `numbers` ends."""
    finished: list[Finished] = []

    async def lane() -> None:
        async with Connection.open(port) as connection:
            finished.extend([await one(connection, number) for number in numbers])

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(lane())
    return finished
