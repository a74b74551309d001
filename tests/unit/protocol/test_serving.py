"""An answer leaves in one write; nothing else about uvicorn changes."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from stepwell_protocol.serving import OneWrite

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Serving(OneWrite, HttpToolsProtocol):
    pass


class Wire(asyncio.Transport):
    """Keeps what is written to it, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def answering(*bodies: bytes, status: int = 200, length: bool = True) -> Callable[..., Awaitable[None]]:
    """An ASGI application whose answers have these pieces for a body."""

    async def application(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        await receive()
        size = str(sum(map(len, bodies))).encode()
        fields = [(b"content-length", size)] if length else []
        await send({"type": "http.response.start", "status": status, "headers": fields})
        for number, body in enumerate(bodies, start=1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})

    return application


async def answered(application: Callable[..., Awaitable[None]], *requests: bytes) -> Wire:
    config = uvicorn.Config(application, http=Serving, lifespan="off", date_header=False, server_header=False)
    config.load()
    state = ServerState()
    protocol, wire = Serving(config=config, server_state=state, app_state={}), Wire()
    protocol.connection_made(wire)
    for request in requests:
        protocol.data_received(request)
        # The application runs as far as it comes with what it has been given.
        for _ in range(10):
            await asyncio.sleep(0)
    if state.tasks:
        await asyncio.wait(list(state.tasks))
    protocol.connection_lost(None)
    return wire


GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n"


async def test_head_and_body_leave_together() -> None:
    wire = await answered(answering(b"hello"), GET, GET)
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"] * 2


@pytest.mark.parametrize(
    ("application", "request_bytes"),
    [(answering(b""), GET), (answering(b"", status=204, length=False), GET), (answering(b"hello"), HEAD)],
    ids=["an empty body", "no content", "only the head was asked for"],
)
async def test_an_answer_without_a_body_leaves_all_the_same(
    application: Callable[..., Awaitable[None]], request_bytes: bytes
) -> None:
    wire = await answered(application, request_bytes)
    assert b"".join(wire.writes).startswith(b"HTTP/1.1 20")
    assert b"".join(wire.writes).endswith(b"\r\n\r\n")


async def test_pieces_of_a_body_are_not_held_back() -> None:
    wire = await answered(answering(b"HTTP/1.0", b"b", b"c"), GET)
    assert [part[-1:] for part in wire.writes] == [b"0", b"b", b"c"]


async def test_who_waits_for_leave_to_send_a_body_gets_it_at_once() -> None:
    asks = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    wire = await answered(answering(b"ok"), asks, b"{}")
    assert wire.writes[0] == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert wire.writes[1].endswith(b"\r\n\r\nok")


async def test_a_request_that_is_no_http_is_refused_before_the_connection_closes() -> None:
    wire = await answered(answering(b"hello"), b"no http at all\r\n\r\n")
    assert b"".join(wire.writes).startswith(b"HTTP/1.1 400")
    assert wire.closed
