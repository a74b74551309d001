"""Connections that are driven directly: one statement at a time, and none of them is ever in doubt afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg.rows import TupleRow

from stepwell_engine.journal.arrays import Byteas
from stepwell_engine.journal.lanes import Lanes


class Opened:
    """`lanes`, and how many connections were made for them."""

    def __init__(self, database_url: str, *, most: int) -> None:
        self._url = database_url
        self.count = 0
        self.lanes = Lanes(self._connect, most=most)

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
