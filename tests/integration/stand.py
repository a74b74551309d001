"""A whole engine in the test's own process: journal, worker, services and gateway, on a real port."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import uvicorn

from integration.apps import sign, sign_timed
from integration.world import DATA_KEY, World
from stepwell_engine.engine import Engine
from stepwell_engine.sealing import Sealer
from stepwell_engine.settings import Settings


@dataclass(frozen=True, slots=True)
class Stand:
    """`client` talks to the gateway; signing is the caller's business, see `post`."""

    engine: Engine
    client: httpx.AsyncClient

    async def post(
        self,
        path: str,
        body: object,
        *,
        app: str | None = None,
        key: str | None = None,
        timed: bool = False,
        **more: Any,
    ) -> httpx.Response:
        """JSON, signed as `app` with `key` by version 1's signature or the timed one."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers: dict[str, str] = dict(more.pop("headers", {}))
        if app is not None:
            headers["x-durable-app"] = app
        if key is not None and timed:
            headers["stepwell-signature"] = sign_timed(raw, key)
        elif key is not None:
            headers["x-durable-signature"] = sign(raw, key)
        return await self.client.post(path, content=raw, headers=headers, **more)


def settings(database_url: str, **given: Any) -> Settings:
    defaults: Mapping[str, Any] = {
        "sealer": Sealer(DATA_KEY),
        "host": "127.0.0.1",
        "dev": True,
        "drain": timedelta(seconds=3),
        "pool_size": 4,
    }
    return Settings(database_url=database_url, **{**defaults, **given})


@asynccontextmanager
async def running(database_url: str, **given: Any) -> AsyncIterator[Engine]:
    """An engine at work, without its gateway. `given` are settings."""
    engine = await Engine.open(settings(database_url, **given))
    engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


@asynccontextmanager
async def serving_gateway(database_url: str, **given: Any) -> AsyncIterator[Stand]:
    """An engine at work with its gateway on a real port, where checkpoints arrive too. `given` are settings."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with running(database_url, checkpoint_url=f"{url}/fn/checkpoint", **given) as engine:
        server = uvicorn.Server(
            uvicorn.Config(
                engine.application, http="httptools", loop="none", lifespan="off", ws="none", log_config=None
            )
        )
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        gateway = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with httpx.AsyncClient(base_url=url, timeout=20) as client:
                yield Stand(engine, client)
        finally:
            await engine.worker.stop()
            server.should_exit = True
            await gateway


async def hurry(world: World, engine: Engine) -> None:
    """End every backoff of runs that wait for their app, and look for them at once."""
    await world.sql("update stepwell.job set due = now() where owner is null")
    engine.worker.poke()


async def idle(engine: Engine) -> None:
    """Wait until the worker drives no run."""
    async with asyncio.timeout(10):
        while driving := list(engine.worker._tasks.values()):
            await asyncio.wait(driving)
