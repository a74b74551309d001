"""`stepwell-engine run`: worker and gateway in one process. `stepwell-engine migrate`: bring the schema up to this release.

SIGTERM and SIGINT drain; a second one ends the process at once. What can't be started says why in one sentence, exit code 1.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stepwell_protocol.serving import OneWrite, settle_memory

from .engine import Engine
from .errors import StepwellError
from .journal.migrate import migrate
from .settings import MigrationSettings, Settings
from .telemetry import configure_logging


class GatewayProtocol(OneWrite, HttpToolsProtocol):
    """HTTP as the gateway speaks it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="stepwell-engine", description=__doc__)
    parser.add_argument("command", choices=["run", "migrate"], nargs="?", default="run")
    command = parser.parse_args().command
    try:
        if command == "migrate":
            _migrate(MigrationSettings.from_environment())
        else:
            settings = Settings.from_environment()
            configure_logging(level=settings.log_level, format=settings.log_format)
            uvloop.run(_run(settings))
    except StepwellError as error:
        print(f"stepwell-engine: {error}", file=sys.stderr)
        sys.exit(1)


def _migrate(settings: MigrationSettings) -> None:
    configure_logging(level=settings.log_level, format=settings.log_format)
    applied = asyncio.run(migrate(settings.database_url))
    print(f"applied: {', '.join(applied)}" if applied else "the schema is up to date")


async def _run(settings: Settings) -> None:
    listener = _listen(settings)
    port = listener.getsockname()[1]
    engine = await Engine.open(
        settings, checkpoint_url=f"http://127.0.0.1:{port}/fn/checkpoint" if settings.dev else None
    )
    server = uvicorn.Server(
        uvicorn.Config(
            engine.application,
            http=GatewayProtocol,
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
        )
    )
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stopping)
    # The signals are ours: uvicorn would end the gateway before the worker has drained.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="gateway")
    engine.start()
    settle_memory()
    print(f"stepwell-engine listens on {settings.host}:{port}", flush=True)
    stopped = asyncio.create_task(stopping.wait(), name="signals")
    await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await engine.worker.stop()
    server.should_exit = True
    await serving
    await engine.stop()


def _stop(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        os._exit(130)
    stopping.set()


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048, reuse_port=False)
    except OSError as error:
        raise StepwellError(
            f"can't listen on {settings.host}:{settings.port}: {error.strerror}: set STEPWELL_PORT to a free port"
        ) from None


if __name__ == "__main__":
    main()
