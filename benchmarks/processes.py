"""Processes of a measurement: started with a log each, ended with this process whatever happens to it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from stepwell_engine.local.child import Life, Log
from stepwell_engine.local.command import Command

READY = 60.0


@asynccontextmanager
async def process(
    name: str,
    arguments: Sequence[str],
    *,
    scratch: Path,
    environment: Mapping[str, str] | None = None,
    ready: Callable[[], Awaitable[bool]],
) -> AsyncIterator[Life]:
    """A started process that has become ready. Raises RuntimeError with its last words when it does not."""
    log = Log(scratch / f"{name}.log", echo=lambda _: None)
    command = Command.leashed(arguments, environment={**os.environ, **(environment or {})})
    life = await Life.begin(command, log)
    try:
        async with asyncio.timeout(READY):
            while not await ready():
                if not life.running:
                    raise RuntimeError(f"{name} {life.obituary()}: {log.last_words()}")
                await asyncio.sleep(0.05)
        yield life
    except TimeoutError:
        raise RuntimeError(f"{name} was not ready in {READY:g} s: {log.last_words()}") from None
    finally:
        await life.end(signal.SIGTERM, patience=10)
        log.close()
