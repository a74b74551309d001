"""The way to Postgres: two pools and the query files.

Every statement stands in a file of its own under `sql/<part>/<method>.sql` and is sent as it is, with named parameters.
Two pools, so that a burst of starts or page views can never keep a lease from being renewed: `main` for everything, `duty`
for renewal, reaping and hints; and `lanes` for what is sent all the time. Connections are in autocommit; a transaction is
always explicit, and never spans an HTTP call. When Postgres is away, callers get `Unavailable` after `timeout`; the pools
reconnect by themselves with backoff.

A process that freezes, or is cut off, inside a transaction keeps its row locks: its connection looks well from outside.
Postgres therefore ends a transaction that nobody goes on with for ten seconds; who wakes later gets `Unavailable`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final, LiteralString, Protocol

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ..errors import InvalidInput, Refused, Unavailable
from .lanes import Lanes

_MOST_LANES: Final = 4

Connection = AsyncConnection[TupleRow]
Lost = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    PoolTimeout,
)


@cache
def statement(name: str) -> LiteralString:
    """The text of `sql/<name>.sql`."""
    return files(__package__).joinpath(f"sql/{name}.sql").read_text()


class Statements(Protocol):
    """What runs single statements: the database itself, each in a commit of its own, or a transaction."""

    async def run(self, name: str, parameters: Mapping[str, object]) -> list[TupleRow]:
        """Run `sql/<name>.sql`; its rows."""


class Within:
    """Statements inside a transaction that is open on this connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run(self, name: str, parameters: Mapping[str, object]) -> list[TupleRow]:
        return await (await self._connection.execute(statement(name), parameters)).fetchall()


class Database:
    """Pools to one database. Open with `await Database.open(url)`, end with `close()`."""

    def __init__(self, url: str, *, size: int, timeout: float) -> None:
        # TCP keepalives and tcp_user_timeout: a peer that vanished is noticed in seconds, not hours.
        options: dict[str, Any] = {
            "autocommit": True,
            "connect_timeout": 5,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "application_name": "stepwell",
        }
        self.url = url
        self._options = options
        self._main: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            kwargs=options,
            min_size=1,
            max_size=size,
            timeout=timeout,
            open=False,
            name="main",
            reconnect_timeout=60,
            configure=_configure,
        )
        self._duty: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            kwargs=options,
            min_size=1,
            max_size=2,
            timeout=timeout,
            open=False,
            name="duty",
            reconnect_timeout=60,
            configure=_configure,
        )
        self._lanes = Lanes(self._lane, most=_MOST_LANES, lost=self._tell_pool)
        self._telling: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, *, size: int = 8, timeout: float = 10.0) -> "Database":
        """Raises InvalidInput for what is no address, Unavailable when no connection can be had within `timeout` seconds."""
        try:
            conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            # Its own message quotes the address, and with it perhaps the password.
            raise InvalidInput(
                "is not an address of Postgres: write postgresql://user:password@host:port/database",
                field="STEPWELL_DATABASE_URL",
            ) from None
        database = cls(url, size=size, timeout=timeout)
        try:
            await database._main.open(wait=True, timeout=timeout)
            await database._duty.open(wait=True, timeout=timeout)
        except Lost:
            reason = await database._refusal()
            await database.close()
            raise Unavailable(f"no connection to Postgres within {timeout:g} s: {reason}") from None
        return database

    async def _refusal(self) -> str:
        """Why a connection can't be had; the pool does not say."""
        try:
            await (await self.dedicated()).close()
        except psycopg.Error as error:
            return " ".join(str(error).split())
        return "it answers, but too slowly"

    async def close(self) -> None:
        self._lanes.close()
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])
        await self._main.close()
        await self._duty.close()

    async def run(self, name: str, parameters: Mapping[str, object]) -> list[TupleRow]:
        """One statement, `sql/<name>.sql`, in a commit of its own; its rows. Raises as `connection` does."""
        try:
            return await self._lanes.execute(statement(name), parameters)
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise _refused(error) from error
        except Lost as error:
            self._lanes.drop_idle()
            self._tell_pool()
            raise _away(error) from error

    @asynccontextmanager
    async def connection(self, *, duty: bool = False) -> AsyncIterator[Connection]:
        """A connection in autocommit. Raises Unavailable when Postgres is away, also in the middle; Refused
        for a row that the schema does not allow."""
        pool = self._duty if duty else self._main
        try:
            async with pool.connection() as connection:
                yield connection
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise _refused(error) from error
        except Lost as error:
            # A broken pool is told at once, instead of finding out connection by connection.
            await pool.check()
            raise _away(error) from error

    @asynccontextmanager
    async def transaction(self, *, duty: bool = False) -> AsyncIterator[Connection]:
        async with self.connection(duty=duty) as connection, connection.transaction():
            yield connection

    async def dedicated(self) -> Connection:
        """A connection of its own, for LISTEN; the caller closes it."""
        return await AsyncConnection.connect(self.url, **self._options)

    def _tell_pool(self) -> None:
        """A lane has broken or can't be had, so the pool's connections are probably broken too: have them looked at once, before
        somebody takes one."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._look_at_pool(), name="look-at-pool")

    async def _look_at_pool(self) -> None:
        with contextlib.suppress(psycopg.Error):
            await self._main.check()

    async def _lane(self) -> Connection:
        connection = await self.dedicated()
        try:
            await _configure(connection)
        except BaseException:
            await connection.close()
            raise
        return connection


def _refused(error: psycopg.Error) -> Refused:
    return Refused(f"Postgres refused a row: {str(error).splitlines()[0]}")


def _away(error: Exception) -> Unavailable:
    return Unavailable(f"Postgres is away: {str(error).strip() or type(error).__name__}")


async def _configure(connection: Connection) -> None:
    await connection.execute(statement("database/configure"))
