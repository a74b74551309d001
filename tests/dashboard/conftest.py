"""The dashboard on a real Postgres, served by the real server over loopback, and a stage to put runs on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI

from stepwell_dashboard.app import create_app
from stepwell_dashboard.server import Server
from stepwell_dashboard.spa import PAGE
from stepwell_engine.journal import Journal
from stepwell_engine.sealing import Sealer

from .browser import Page, open_browser
from .stage import DATA_KEY, Stage

TOKEN = "an-admin-token-for-tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    admin_token: str | None = None
    host: str = "127.0.0.1"
    dev: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    url: str
    app: FastAPI
    journal: Journal


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield Stage(connection)


@pytest_asyncio.fixture
async def journal(database_url: str) -> AsyncIterator[Journal]:
    async with await Journal.open(database_url, sealer=Sealer(DATA_KEY)) as journal:
        yield journal


@pytest.fixture
def access_settings() -> AccessSettings:
    """How the dashboard under test is configured; a test's module may override it."""
    return AccessSettings()


@pytest.fixture
def page() -> Path:
    return PAGE


@pytest_asyncio.fixture
async def dashboard(journal: Journal, access_settings: AccessSettings, page: Path) -> AsyncIterator[Dashboard]:
    app = create_app(access_settings, journal, page=page)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none", timeout_graceful_shutdown=5)
    server = Server(config, app)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), "the server ended before it had begun"
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Dashboard(url=f"http://127.0.0.1:{port}", app=app, journal=journal)
    server.should_exit = True
    await serving


@pytest_asyncio.fixture
async def client(dashboard: Dashboard) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=dashboard.url, timeout=10) as client:
        yield client


@pytest_asyncio.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Page]:
    """A page of a fresh headless Chromium."""
    async with open_browser(tmp_path / "profile") as page:
        yield page
