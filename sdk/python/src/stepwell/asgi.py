"""An app as an ASGI application. It answers the engine at whatever path it is mounted."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from stepwell.endpoint import Reply, Request
from stepwell.errors import StepwellError
from stepwell.stream import Stream
from stepwell_protocol import limits

if TYPE_CHECKING:
    from stepwell.app import App

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: A call carries a whole journal; the rest is for what is around it.
MOST_BODY: Final = limits.JOURNAL_BYTES + 8 * limits.MIB


class Asgi:
    """The ASGI application of an app. With a `path`, any other path is answered 404."""

    def __init__(self, app: "App", *, path: str | None = None) -> None:
        app.streams = True
        self._app = app
        self._path = path
        self._connected = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        match scope["type"]:
            case "http" if self._path is None or scope["path"].rstrip("/") == self._path.rstrip("/"):
                await self._http(scope, receive, send)
            case "http":
                await _send_reply(send, plain_reply(404, "nothing here"))
            case "lifespan":
                await self._lifespan(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            await _send_reply(send, plain_reply(413, f"a body has at most {MOST_BODY:,} bytes"))
            return
        if not self._connected:
            try:
                if not self._app.client.connection.signing_keys:
                    await self._app.connect()
            except StepwellError as error:
                await _send_reply(send, plain_reply(503, str(error)))
                return
            self._connected = True
        request = Request(scope["method"], dict(scope["headers"]), body, gone=lambda: _gone(receive), streams=True)
        await _send_reply(send, await self._app.endpoint.answer(request))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._app.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})


def plain_reply(status: int, message: str) -> Reply:
    """An answer for people, unsigned."""
    return Reply(status, message.encode(), [("content-type", "text/plain; charset=utf-8")])


async def _read_body(receive: Receive) -> bytes | None:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body if len(body) <= MOST_BODY else None
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BODY:
            return None
        parts.append(part)
    return b"".join(parts)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_reply(send: Send, reply: Reply) -> None:
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if reply.stream is not None:
        await _send_stream(
            send, reply.stream, {"type": "http.response.start", "status": reply.status, "headers": fields}
        )
        return
    fields.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": fields})
    await send({"type": "http.response.body", "body": reply.body})


async def _send_stream(send: Send, stream: Stream, start: Message) -> None:
    try:
        part, more = await stream.part()
        await send(start)
        await send({"type": "http.response.body", "body": part, "more_body": more})
        while more:
            part, more = await stream.part()
            await send({"type": "http.response.body", "body": part, "more_body": more})
    finally:
        await stream.close()
