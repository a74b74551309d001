"""An app on a real port, and waiting for what is in another process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import uvicorn

from harness.dev import free_port
from stepwell import App


@contextlib.asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    port = free_port()
    config = uvicorn.Config(app.asgi, host="127.0.0.1", port=port, log_level="error", lifespan="on", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        await task


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for what nothing signals."""
    async with asyncio.timeout(20):
        while not await _true(condition()):  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.02)


async def _true(held: bool | Awaitable[bool]) -> bool:
    return held if isinstance(held, bool) else await held
