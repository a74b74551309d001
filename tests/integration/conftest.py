"""The journal on a database of the test's own."""

from collections.abc import AsyncIterator

import psycopg
import pytest_asyncio
from psycopg.rows import dict_row

from integration.world import World, opened
from stepwell_engine.journal import Journal


@pytest_asyncio.fixture
async def journal(database_url: str) -> AsyncIterator[Journal]:
    async with await opened(database_url) as journal:
        yield journal


@pytest_asyncio.fixture
async def world(database_url: str, journal: Journal) -> AsyncIterator[World]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield World(journal, connection)
