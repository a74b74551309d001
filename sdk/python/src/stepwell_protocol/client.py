"""A small pooled HTTP/1.1 client on httptools, for the few requests that engine and SDK make and for nothing else.

It promises: at most `max_connections` connections per origin, kept alive and used again, the latest first; one total
timeout per request, connecting and waiting for a connection included; a bound on the answer's size; errors that say
whether the request may have been received (see `http_errors`). It follows no redirect, decompresses nothing, sends no
cookies, heeds no proxy settings and never sends a request twice. A cancelled request closes its connection.

All requests under way share one timer, set to the earliest deadline, so that a request costs no timer and no task. The
client belongs to the event loop it is used in; used in another one, it starts anew there and leaves what it had to the
old one.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final, Self
from urllib.parse import urlsplit

from stepwell_protocol import limits
from stepwell_protocol.connection import Connection, Deadline, Response
from stepwell_protocol.http_errors import ConnectionLost, NotSent, RequestRefused, ResponseTimeout
from stepwell_protocol.origin import Origin

__all__ = ["Deadline", "HttpClient", "Response"]

_MOST_TARGETS: Final = 4096
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_OWN_HEADERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"}
)


class HttpClient:
    """The client. One per process and purpose; close it when done, or use it with `async with`."""

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        max_response: int = limits.JOURNAL_BYTES,
        max_connections: int = 256,
        keep_alive: float = 4.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Make a client; it opens nothing before the first request.

        Args:
            timeout: seconds a request may take in all, unless it says otherwise.
            connect_timeout: seconds that connecting may take of that.
            max_response: bytes a body may have, unless the request says otherwise.
            max_connections: connections per origin; more requests wait their turn.
            keep_alive: seconds an idle connection is kept. Servers in wide use close after 5.
            ssl_context: for https; the system's trust store by default.
        """
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._max_response = max_response
        self._max_connections = max_connections
        self._keep_alive = keep_alive
        self._ssl_context = ssl_context
        self._targets: dict[tuple[str, str], _Target] = {}
        self._origins: dict[tuple[str, str, int], Origin] = {}
        self._header_names: set[str] = set()
        self._under_way: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closed = False

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout: float | Deadline | None = None,
        max_response: int | None = None,
        send_by: float | None = None,
        sink: Callable[[bytes], None] | None = None,
    ) -> Response:
        """Send one request and give its answer, whatever its status.

        `timeout`: how long all of it may take, in seconds, or a `Deadline`, which can be moved on meanwhile.
        `send_by`: a time of `time.monotonic()` after which the request is not sent any more, however long connecting took
        or the process was stopped; NotSent is raised then.
        `sink`: where the body of an answer with status 200 goes as it comes, instead of into the answer. An `HttpError`
        that it raises ends the request.

        Raises:
            HttpError: one of its subclasses, by what the other side may have seen.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._begin_in(loop)
        target = self._targets.get((method, url)) or self._target(method, url)
        head = b"%b%bcontent-length: %d\r\n\r\n" % (target.head, self._headers(headers), len(body))
        now = loop.time()
        deadline = timeout if isinstance(timeout, Deadline) else Deadline(self._timeout if timeout is None else timeout)
        deadline.at = now + deadline.seconds
        if deadline.at <= now:
            raise NotSent("no time is left for the request")
        connection = target.origin.take(now) or await target.origin.acquire(
            deadline=deadline.at, connect_timeout=self._connect_timeout
        )
        if send_by is not None and time.monotonic() >= send_by:
            connection.abort()
            raise NotSent("it was too late to send the request")
        waiter: asyncio.Future[Response] = loop.create_future()
        limit = self._max_response if max_response is None else max_response
        connection.send(head + body, waiter=waiter, deadline=deadline, limit=limit, sink=sink)
        self._under_way.add(connection)
        if self._timer is None or deadline.at < self._timer_at:
            self._arm(deadline.at)
        try:
            return await waiter
        except asyncio.CancelledError:
            if connection.waiter is waiter:
                connection.waiter = None
                connection.abort()
            raise

    async def close(self) -> None:
        """Close every connection; requests under way and waiting end with an error. Closing twice does nothing."""
        self._closed = True
        self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _begin_in(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            raise NotSent("the client is closed")
        self._timer = None
        self._under_way.clear()
        self._origins.clear()
        self._targets.clear()
        self._loop = loop

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self._under_way):
            connection.fail(ConnectionLost("the client was closed"))
        for origin in self._origins.values():
            origin.close()

    def _target(self, method: str, url: str) -> "_Target":
        if method not in _METHODS:
            raise RequestRefused(
                f"{method!r} is not a method this client sends: use one of {', '.join(sorted(_METHODS))}"
            )
        scheme, host, port, path, authority = _parse_url(url)
        key = (scheme, host, port)
        origin = self._origins.get(key)
        if origin is None:
            origin = self._origins[key] = Origin(
                host=host,
                port=port,
                ssl_context=self._ssl() if scheme == "https" else None,
                most=self._max_connections,
                keep_alive=self._keep_alive,
                ended=self._under_way.discard,
            )
        head = f"{method} {path} HTTP/1.1\r\nhost: {authority}\r\naccept-encoding: identity\r\n".encode("ascii")
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        target = self._targets[method, url] = _Target(origin, head)
        return target

    def _ssl(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return self._ssl_context

    def _headers(self, headers: Mapping[str, str] | None) -> bytes:
        if not headers:
            return b""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        unknown = headers.keys() - self._header_names
        for name in unknown:
            if not _TOKEN.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise RequestRefused(f"{name!r} is not a header a caller may set")
            if len(self._header_names) < _MOST_TARGETS:
                self._header_names.add(name)
        if lines.count("\r") != len(headers) or lines.count("\n") != len(headers) or "\0" in lines:
            raise RequestRefused("a header's value contains a line break or a NUL character")
        try:
            return lines.encode("latin-1")
        except UnicodeEncodeError:
            raise RequestRefused("a header's value contains characters beyond latin-1") from None

    def _arm(self, deadline: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._sweep)

    def _sweep(self) -> None:
        assert self._loop is not None
        self._timer = None
        now = self._loop.time()
        late = [connection for connection in self._under_way if connection.deadline.at <= now]
        self._under_way.difference_update(late)
        for connection in late:
            connection.fail(ResponseTimeout("no complete answer in time"))
        if self._under_way:
            self._arm(min(connection.deadline.at for connection in self._under_way))


class _Target:
    """Where a method and URL lead: the origin, and the head of a request up to the caller's headers."""

    __slots__ = ("head", "origin")

    def __init__(self, origin: Origin, head: bytes) -> None:
        self.origin = origin
        self.head = head


def _parse_url(url: str) -> tuple[str, str, int, str, str]:
    if not _PRINTABLE.fullmatch(url):
        raise RequestRefused(
            "the address contains spaces, control characters or non-ASCII characters: percent-encode them"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RequestRefused(f"{url[:200]!r} is not an address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RequestRefused(f"{url[:200]!r} is not an address: write http://host/path or https://host/path")
    if "@" in parts.netloc or parts.fragment:
        raise RequestRefused("the address must not carry credentials or a fragment")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), path, parts.netloc
