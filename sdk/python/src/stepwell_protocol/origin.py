"""The connections of the HTTP client to one origin (scheme, host, port): at most so many, the latest idle one first, a
queue beyond that.

A connection is handed straight from a finished request to the one that waits longest. Connections that were idle for
too long are closed when they are come across, instead of being tried: the other side is about to close them, and a
request written into a closing connection is lost with an unknown outcome.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from stepwell_protocol.connection import Connection
from stepwell_protocol.http_errors import ConnectFailed, NotSent


class Origin:
    """A bounded set of connections to one address."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None,
        most: int,
        keep_alive: float,
        ended: Callable[[Connection], object],
    ) -> None:
        """`ended` is called with a connection whenever it carries no request any more."""
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._most = most
        self._keep_alive = keep_alive
        self._ended = ended
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    def take(self, now: float) -> Connection | None:
        """An idle connection that is still good, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.closed:
                continue
            if now - connection.idle_since < connection.keep_alive:
                return connection
            connection.abort()
        return None

    async def acquire(self, *, deadline: float, connect_timeout: float) -> Connection:
        """Open a connection, or wait until one is free.

        Raises:
            NotSent: none became free in time, or (`ConnectFailed`) none could be opened.
        """
        loop = asyncio.get_running_loop()
        while not self._closed:
            if len(self._open) + self._opening < self._most:
                return await self._connect(min(deadline, loop.time() + connect_timeout))
            connection = await self._wait_turn(deadline)
            if connection is not None and not connection.closed:
                return connection
        raise NotSent("the client is closed")

    def close(self) -> None:
        """Close every connection; requests under way and waiting end with an error."""
        self._closed = True
        for connection in list(self._open):
            connection.abort()
        while self._hand_over(None):
            pass

    def answered(self, connection: Connection, *, reusable: bool) -> None:
        """Take a connection back whose answer is complete."""
        self._ended(connection)
        if reusable:
            connection.idle_since = connection.loop.time()
            if not self._hand_over(connection):
                self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._ended(connection)
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._hand_over(None)

    async def _connect(self, until: float) -> Connection:
        self._opening += 1
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout_at(until):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, loop=loop, keep_alive=self._keep_alive),
                    self._host,
                    self._port,
                    ssl=self._ssl_context,
                    server_hostname=self._host if self._ssl_context else None,
                )
        except TimeoutError:
            self._hand_over(None)
            raise ConnectFailed(f"no connection to {self._host}:{self._port} in time") from None
        except (OSError, ValueError) as error:
            self._hand_over(None)
            raise ConnectFailed(f"no connection to {self._host}:{self._port}: {error}") from None
        except asyncio.CancelledError:
            self._hand_over(None)
            raise
        finally:
            self._opening -= 1
        if connection.closed:
            raise ConnectFailed(f"{self._host}:{self._port} closed the connection at once")
        if self._closed:
            connection.abort()
            raise NotSent("the client is closed")
        self._open.add(connection)
        return connection

    async def _wait_turn(self, deadline: float) -> Connection | None:
        """A connection when one becomes free, or None when a new one may be opened."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._pass_on(turn.result())
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise NotSent(f"all {self._most} connections to {self._host}:{self._port} were busy") from None
            raise

    def _pass_on(self, connection: Connection | None) -> None:
        if connection is None or connection.closed:
            self._hand_over(None)
        elif not self._hand_over(connection):
            self._idle.append(connection)

    def _hand_over(self, connection: Connection | None) -> bool:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False
