"""Connections that are driven directly: one statement at a time, and none of them is ever in doubt afterwards."""

import asyncio
import select
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvloop
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from stepwell_engine.journal.arrays import Byteas
from stepwell_engine.journal.lanes import Lanes


class Opened:
    """`lanes`, how many connections were made for them, and `lost`: a connection broke."""

    def __init__(self, database_url: str, *, most: int) -> None:
        self._url = database_url
        self.count = 0
        self.lost = asyncio.Event()
        self.lanes = Lanes(self._connect, most=most, lost=self.lost.set)

    async def _connect(self) -> psycopg.AsyncConnection[TupleRow]:
        self.count += 1
        return await psycopg.AsyncConnection.connect(self._url, autocommit=True, application_name="lane")


@asynccontextmanager
async def opened(database_url: str, *, most: int = 2) -> AsyncIterator[Opened]:
    made = Opened(database_url, most=most)
    try:
        yield made
    finally:
        made.lanes.close()


async def one(lanes: Lanes, number: int) -> int:
    ((value,),) = await lanes.execute("select %(number)s::bigint", {"number": number})
    return int(value)


async def test_who_finds_all_lanes_busy_waits_in_line(database_url: str) -> None:
    async with opened(database_url) as made:
        assert await asyncio.gather(*[one(made.lanes, number) for number in range(200)]) == list(range(200))
        assert made.count == 2


async def test_parameters_and_rows_may_be_larger_than_any_buffer(database_url: str) -> None:
    large = [bytes([number]) * 3_000_000 for number in range(4)]
    async with opened(database_url) as made:
        rows = await made.lanes.execute("select * from unnest(%(data)s::bytea[])", {"data": Byteas(large)})
    assert [row[0] for row in rows] == large


async def test_an_error_that_postgres_reports_leaves_the_lane_usable(database_url: str) -> None:
    async with opened(database_url, most=1) as made:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await made.lanes.execute("select 1 / %(number)s::integer", {"number": 0})
        assert await one(made.lanes, 7) == 7
        assert made.count == 1


async def test_a_statement_that_was_cut_off_is_not_answered_to_the_next_one(database_url: str) -> None:
    async with opened(database_url, most=1) as made:
        assert await one(made.lanes, 1) == 1
        asking = asyncio.create_task(made.lanes.execute("select 'late', pg_sleep(0.2)", {}))
        waiting = asyncio.create_task(one(made.lanes, 2))
        while not made.lanes.waiting:  # noqa: ASYNC110 - nobody else tells
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await waiting == 2
        assert made.count == 2


async def test_who_gives_up_waiting_does_not_take_the_turn_along(database_url: str) -> None:
    async with opened(database_url, most=1) as made:
        busy = asyncio.create_task(made.lanes.execute("select pg_sleep(0.1)", {}))
        impatient = asyncio.create_task(one(made.lanes, 1))
        patient = asyncio.create_task(one(made.lanes, 2))
        while made.lanes.waiting < 2:  # noqa: ASYNC110 - nobody else tells
            await asyncio.sleep(0)
        impatient.cancel()
        assert await patient == 2
        await busy


@pytest.mark.parametrize("when", ["idle", "busy"])
async def test_a_connection_that_ends_is_replaced(database_url: str, when: str) -> None:
    async with opened(database_url, most=1) as made, await psycopg.AsyncConnection.connect(database_url) as other:
        ((pid,),) = await made.lanes.execute("select pg_backend_pid()", {})
        busy = asyncio.create_task(made.lanes.execute("select pg_sleep(60)", {})) if when == "busy" else None
        asked = "select state = 'active' from pg_stat_activity where pid = %s"
        while busy is not None and not (await (await other.execute(asked, [pid])).fetchone() or [False])[0]:
            await other.rollback()
        await other.execute("select pg_terminate_backend(%s, 5000)", [pid])
        if busy is not None:
            with pytest.raises(psycopg.OperationalError):
                await busy
        assert await one(made.lanes, 3) == 3
        assert made.count == 2


class Between:
    """A socket in front of Postgres's, for one connection. `cut` ends it in the worst way: with a last message to the client
    and unread bytes from it, so that the client's socket is at once readable, hung up and in error."""

    def __init__(self, database_url: str, folder: Path) -> None:
        given = conninfo_to_dict(database_url)
        name = f".s.PGSQL.{given.get('port', 5432)}"
        self._behind = str(Path(str(given["host"])) / name)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / name))
        self._listening.listen()
        self.url = make_conninfo(database_url, host=str(folder))
        self._client: socket.socket | None = None
        self._held = threading.Event()
        self._passing: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Read nothing from now on."""
        self._held.set()
        for thread in self._passing:
            thread.join()

    def cut(self, last_words: bytes) -> None:
        assert self._client is not None
        self._client.sendall(last_words)
        self._client.close()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            self._client, _ = self._listening.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._behind)
            for source, target in ((self._client, server), (server, self._client)):
                self._passing.append(threading.Thread(target=self._pass_on, args=(source, target), daemon=True))
            for thread in self._passing:
                thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        while not self._held.is_set():
            if select.select([source], [], [], 0.01)[0]:
                data = source.recv(65536)
                if not data:
                    break
                target.sendall(data)
        if source is not self._client:
            source.close()


@contextmanager
def between(database_url: str) -> Iterator[Between]:
    with tempfile.TemporaryDirectory() as folder:
        made = Between(database_url, Path(folder))
        try:
            yield made
        finally:
            made.close()


NOTICE = b"SNOTICE\0VNOTICE\0C00000\0Mfarewell\0\0"
FAREWELL = b"N" + (len(NOTICE) + 4).to_bytes(4, "big") + NOTICE


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("last_words", [b"", FAREWELL], ids=["without a word", "after a message"])
def test_the_end_of_a_connection_is_heard_whatever_comes_with_it(
    database_url: str, run: Callable[[Any], None], last_words: bytes
) -> None:
    async def scenario(middle: Between) -> None:
        async with opened(middle.url, most=1) as made:
            assert await one(made.lanes, 1) == 1
            middle.hold()
            asking = asyncio.create_task(one(made.lanes, 2))
            await asyncio.sleep(0)  # it has been sent by now
            middle.cut(last_words)
            async with asyncio.timeout(10):
                with pytest.raises(psycopg.OperationalError):
                    await asking
            assert made.lost.is_set()

    with between(database_url) as middle:
        run(scenario(middle))
