"""A database per test, copied from a template that carries the schema; and the check that a test leaves nothing open.

The copy takes some tens of milliseconds. When the test ends every connection to its database must be closed, and every
asyncio task it started must be done: a leak fails the test that made it, not some later one.
"""

import asyncio
import inspect
import itertools
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from .postgres import Server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def template_database(postgres_server: Server) -> Iterator[str]:
    """The name of a database with all migrations applied and nobody connected."""
    # Here, so that pure tests don't load the whole journal.
    from stepwell_engine.journal.migrate import migrate

    name = f"stepwell_template_{os.getpid()}_{secrets.token_hex(3)}"
    _execute(postgres_server, sql.SQL("create database {}").format(sql.Identifier(name)))
    asyncio.run(migrate(postgres_server.database(name)))
    yield name
    _drop(postgres_server, name)


@pytest.fixture(scope="session")
def empty_template() -> str:
    """For tests of the migrations themselves: what to copy for a database without the schema."""
    return "template0"


@pytest.fixture
def database_url(postgres_server: Server, template_database: str) -> Iterator[str]:
    """A fresh database with the schema. Fails the test at its end if connections to it are still open."""
    yield from _database(postgres_server, template_database)


@pytest.fixture
def empty_database_url(postgres_server: Server, empty_template: str) -> Iterator[str]:
    """A fresh database without the schema."""
    yield from _database(postgres_server, empty_template)


def _database(server: Server, template: str) -> Iterator[str]:
    name = f"stepwell_test_{os.getpid()}_{next(_numbers)}"
    _execute(
        server,
        sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)),
    )
    try:
        yield server.database(name)
        leaked = _open_connections(server, name)
    finally:
        _drop(server, name)
    assert not leaked, f"the test left connections to its database open: {leaked}"


def _open_connections(server: Server, name: str) -> list[tuple[object, ...]]:
    """Who is still connected once the server has had a moment to notice those that have just hung up."""
    query = """
        select application_name, state, left(query, 120) from pg_stat_activity
        where datname = %s and backend_type = 'client backend'
    """
    deadline = time.monotonic() + 2
    with psycopg.connect(server.url, autocommit=True) as connection:
        while (rows := connection.execute(query, [name]).fetchall()) and time.monotonic() < deadline:
            connection.execute("select pg_sleep(0.02)")
    return rows


def _execute(server: Server, statement: sql.Composed) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(statement)


def _drop(server: Server, name: str) -> None:
    _execute(server, sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> None:
    """For async tests: see `no_leaked_tasks`. Set up before, and so torn down after, the test's own fixtures."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_leaked_tasks")


@pytest_asyncio.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    leaked = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not leaked, f"the test left tasks running: {[task.get_coro() for task in leaked]}"
