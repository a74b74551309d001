"""One keep-alive connection of the HTTP client: writes a request, parses its answer, says whether it can be used again.

It carries one request at a time, parsed by httptools straight from the transport's callbacks: no task and no timer of
its own. Memory stays bounded whatever the other side sends: the body by the caller's limit, everything around it
(status lines, headers, chunk framing, trailers, informational answers) by `OVERHEAD_BYTES` plus a small multiple of the
body. Anything that is not one clean answer ends the connection.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

import httptools

from stepwell_protocol.http_errors import ConnectionLost, HttpError, ResponseInvalid, ResponseTooLarge

OVERHEAD_BYTES: Final = 64 * 1024
_FRAMING_PER_BODY_BYTE: Final = 8
_OK: Final = 200


class Response:
    """An answer: status, headers with lower-case names, and the body as it came (never decompressed)."""

    __slots__ = ("_fields", "body", "status")

    def __init__(self, *, status: int, fields: dict[bytes, bytes], body: bytes) -> None:
        self.status = status
        self.body = body
        self._fields = fields

    def header(self, name: str) -> str | None:
        """The value of a header by its lower-case name, or None. Repeated headers are joined with commas."""
        value = self._fields.get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


class Deadline:
    """When a request must have been answered: `seconds` after it is begun, or after it was last moved on."""

    __slots__ = ("at", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = 0.0

    def extend(self) -> None:
        """Another `seconds` from now. Harmless when the request has ended."""
        self.at = asyncio.get_running_loop().time() + self.seconds


_NO_DEADLINE: Final = Deadline(0.0)


class Owner(Protocol):
    """Whoever owns connections."""

    def answered(self, connection: "Connection", *, reusable: bool) -> None:
        """The answer is complete; the connection carries nothing now."""

    def lost(self, connection: "Connection") -> None:
        """The connection is closed, for whatever reason."""


class Connection(asyncio.Protocol):
    """An open connection to one origin."""

    __slots__ = (
        "_body_size",
        "_fields",
        "_lasting",
        "_limit",
        "_owner",
        "_parser",
        "_parts",
        "_received",
        "_response",
        "_sink",
        "_started",
        "_surplus",
        "_transport",
        "closed",
        "deadline",
        "idle_since",
        "keep_alive",
        "loop",
        "waiter",
    )

    _fields: dict[bytes, bytes]
    _parts: list[bytes]
    _response: Response | None
    _sink: Callable[[bytes], None] | None

    def __init__(self, owner: Owner, *, loop: asyncio.AbstractEventLoop, keep_alive: float) -> None:
        self._owner = owner
        self.loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self.waiter: asyncio.Future[Response] | None = None
        self.closed = False
        self.deadline = _NO_DEADLINE
        self.idle_since = 0.0
        self.keep_alive = keep_alive
        self._reset(0)

    def send(
        self,
        data: bytes,
        *,
        waiter: asyncio.Future[Response],
        deadline: Deadline,
        limit: int,
        sink: Callable[[bytes], None] | None = None,
    ) -> None:
        """Write a whole request; `waiter` gets the answer or an `HttpError`. Nothing else may be under way.

        With a `sink`, the body of an answer with status 200 goes there as it comes, and the answer's own is empty; what
        the sink raises, an `HttpError`, ends the connection.
        """
        assert self._transport is not None
        assert self.waiter is None
        self._reset(limit)
        self._sink = sink
        self.waiter = waiter
        self.deadline = deadline
        self._transport.write(data)

    def fail(self, error: HttpError) -> None:
        """End the connection and give the request that is under way this error."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.abort()

    def abort(self) -> None:
        """Close at once, without flushing."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not inherit from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.waiter is not None:
            if exc is None and self._ends_at_close():
                self._finish(self._take_response(), reusable=False)
            else:
                self.fail(ConnectionLost(self._where_it_ended(exc)))
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        if self.waiter is None:
            self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._surplus = True
            if self._response is None:
                self.fail(ResponseInvalid(f"the answer is not HTTP: {error!r}", status=self._status()))
                return
        if self._body_size > self._limit:
            over = f"the answer is larger than the {self._limit:,} bytes allowed"
            self.fail(ResponseTooLarge(over, status=self._status()))
        elif self._sink is not None and not self._pour(self._sink):
            return
        elif self._response is not None:
            assert self._transport is not None
            unsent = self._transport.get_write_buffer_size() > 0
            self._finish(self._response, reusable=self._lasting and not self._surplus and not unsent)
        elif self._received - self._body_size > OVERHEAD_BYTES + _FRAMING_PER_BODY_BYTE * self._body_size:
            over = f"the answer's headers and framing pass {OVERHEAD_BYTES:,} bytes"
            self.fail(ResponseInvalid(over, status=self._status()))

    def _pour(self, sink: Callable[[bytes], None]) -> bool:
        """Hand over what has come of the body; whether that went well."""
        if not self._started or self._parser.get_status_code() != _OK:
            return True
        came = b"".join(self._parts)
        self._parts = []
        if self._response is not None:
            came, self._response.body = self._response.body, b""
        try:
            if came:
                sink(came)
        except HttpError as error:
            self.fail(error)
            return False
        return True

    def on_message_begin(self) -> None:
        if self._response is not None:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._surplus:
            return
        name = name.lower()
        fields = self._fields
        fields[name] = b"%b, %b" % (fields[name], value) if name in fields else value

    def on_headers_complete(self) -> None:
        self._started = True

    def on_body(self, body: bytes) -> None:
        if self._surplus:
            return
        self._body_size += len(body)
        if self._body_size <= self._limit:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._surplus:
            return
        if self._parser.get_status_code() >= 200:
            self._lasting = self._parser.should_keep_alive()
            self._response = self._take_response()
        else:
            self._fields = {}
            self._started = False

    def _reset(self, limit: int) -> None:
        self._limit = limit
        self._sink = None
        self._fields = {}
        self._parts = []
        self._body_size = 0
        self._received = 0
        self._started = False
        self._response = None
        self._lasting = False
        self._surplus = False

    def _take_response(self) -> Response:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._heed_keep_alive()
        return Response(status=self._parser.get_status_code(), fields=self._fields, body=body)

    def _finish(self, response: Response, *, reusable: bool) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(response)
        if not reusable:
            self.abort()
        self._owner.answered(self, reusable=reusable)

    def _heed_keep_alive(self) -> None:
        """Leave an idle connection a second before the other side says it will."""
        for part in self._fields.get(b"keep-alive", b"").split(b","):
            name, _, seconds = part.strip().partition(b"=")
            if name == b"timeout" and seconds.isdigit() and len(seconds) < 6:
                self.keep_alive = min(self.keep_alive, max(0.0, int(seconds) - 1.0))

    def _status(self) -> int | None:
        return self._parser.get_status_code() or None

    def _ends_at_close(self) -> bool:
        framed = b"content-length" in self._fields or b"transfer-encoding" in self._fields
        return self._started and not framed and self._body_size <= self._limit

    def _where_it_ended(self, exc: Exception | None) -> str:
        when = "in the middle of its answer" if self._received else "without an answer"
        return f"the connection ended {when}{f': {exc}' if exc else ''}"
