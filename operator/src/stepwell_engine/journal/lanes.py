"""Connections for the few statements that are sent all the time: prepared once, parameters in binary, one reader on each socket
for as long as it lives.

psycopg looks at a statement, its parameters and the socket anew each time, which for a small statement is most of the work. Here
the same libpq connection is driven directly. A lane carries one statement at a time, in autocommit. One
whose statement was cut off (cancelled, or the connection broke) is closed: what is still on the wire can't be told; the next use
opens another.
"""

import asyncio
import re
import select
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import AsyncConnection
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from .arrays import Array

_PARAMETER: Final = re.compile(r"%\((\w+)\)s")
_DONE: Final = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


class _Prepared(NamedTuple):
    name: bytes
    parameters: tuple[str, ...]


class Lanes:
    """Up to `most` lanes, opened as they are needed; who finds all of them busy waits in line. `lost` is called when a connection
    breaks, also one that nobody is using: Postgres was stopped, or is out of reach."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[AsyncConnection[TupleRow]]],
        *,
        most: int,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect = connect
        self._most = most
        self._lost = lost
        self._idle: list[Lane] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait for a lane."""
        return len(self._waiting)

    async def execute(self, query: str, parameters: Mapping[str, object]) -> list[TupleRow]:
        """Run one statement; its rows. Raises psycopg.Error."""
        lane = await self._take()
        try:
            return await lane.execute(query, parameters)
        finally:
            self._give_back(lane)

    def drop_idle(self) -> None:
        """Close what is not in use: Postgres was away, and they are probably as broken as the one that noticed."""
        while self._idle:
            self._idle.pop().close()
            self._open -= 1

    def close(self) -> None:
        """Close all: the idle ones now, the others when their statement is done."""
        self._closed = True
        self.drop_idle()

    async def _take(self) -> "Lane":
        while True:
            while self._idle:
                lane = self._idle.pop()
                if lane.usable:
                    return lane
                lane.close()
                self._open -= 1
            if self._open < self._most:
                self._open += 1
                try:
                    return Lane(await self._connect(), lost=self._lost)
                except BaseException:
                    self._open -= 1
                    self._next()
                    raise
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise

    def _give_back(self, lane: "Lane") -> None:
        if lane.usable and not self._closed:
            self._idle.append(lane)
        else:
            lane.close()
            self._open -= 1
        self._next()

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


class Lane:
    """A connection that nobody else uses."""

    def __init__(self, connection: AsyncConnection[TupleRow], *, lost: Callable[[], None]) -> None:
        self._connection = connection
        self._lost = lost
        self._libpq = connection.pgconn
        self._socket = connection.fileno()
        self._hung_up = select.poll()
        self._hung_up.register(self._socket, 0)
        self._adapt = Transformer(connection)
        self._prepared: dict[str, _Prepared] = {}
        self._answer: asyncio.Future[PGresult] | None = None
        self._result: PGresult | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    @property
    def usable(self) -> bool:
        return not self._closed and self._libpq.status == ConnStatus.OK

    async def execute(self, query: str, parameters: Mapping[str, object]) -> list[TupleRow]:
        """Run a statement with named parameters; its rows. Raises psycopg.Error; after anything but an error that Postgres itself
        reports, the lane is closed."""
        try:
            prepared = self._prepared.get(query) or await self._prepare(query, parameters)
            values, formats = self._encoded(prepared, parameters)
            self._libpq.send_query_prepared(prepared.name, values, formats, Format.BINARY)
            result = await self._sent()
        except BaseException:
            self.close()
            raise
        if result.status not in _DONE:
            raise error_from_result(result)
        self._adapt.set_pgresult(result, format=Format.BINARY)
        return self._adapt.load_rows(0, result.ntuples, tuple)

    def close(self) -> None:
        """Close at once. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._libpq.finish()

    async def _prepare(self, query: str, parameters: Mapping[str, object]) -> _Prepared:
        names: list[str] = []

        def numbered(found: re.Match[str]) -> str:
            if found[1] not in names:
                names.append(found[1])
            return f"${names.index(found[1]) + 1}"

        text = _PARAMETER.sub(numbered, query).replace("%%", "%")
        name = b"stepwell_%d" % len(self._prepared)
        types = [value.oid if isinstance(value := parameters[each], Array) else 0 for each in names]
        self._libpq.send_prepare(name, text.encode(), types)
        result = await self._sent()
        if result.status not in _DONE:
            raise error_from_result(result)
        prepared = self._prepared[query] = _Prepared(name, tuple(names))
        return prepared

    def _encoded(self, prepared: _Prepared, parameters: Mapping[str, object]) -> tuple[list[Any], list[int]]:
        values: list[Any] = []
        formats: list[int] = []
        for name in prepared.parameters:
            value = parameters[name]
            if isinstance(value, Array):
                values.append(value.binary)
                formats.append(Format.BINARY)
            else:
                # As text a value fits whatever type the statement gives it.
                values.append(None if value is None else self._adapt.get_dumper(value, PyFormat.TEXT).dump(value))
                formats.append(Format.TEXT)
        return values, formats

    async def _sent(self) -> PGresult:
        """The answer to what was just sent."""
        self._answer = self._loop.create_future()
        if self._libpq.flush():
            self._loop.add_writer(self._socket, self._writable)
        try:
            return await self._answer
        finally:
            self._answer = None

    def _writable(self) -> None:
        try:
            if not self._libpq.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._broken(error)

    def _readable(self) -> None:
        try:
            self._read()
            # The event loop stops watching a socket that reports an error, so what is left on it is read now, to its end.
            while self._hung_up.poll(0):
                self._read()
        except psycopg.Error as error:
            self._broken(error)

    def _read(self) -> None:
        self._libpq.consume_input()
        while not self._libpq.is_busy():
            result = self._libpq.get_result()
            if result is None:
                self._ended()
                return
            self._result = result

    def _ended(self) -> None:
        result, self._result = self._result, None
        if result is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(result)

    def _broken(self, error: psycopg.Error) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()
        self._lost()
