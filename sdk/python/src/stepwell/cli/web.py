"""The one port of `stepwell dev`: gateway and dashboard behind a listening socket that the supervisor owns.

`python -m stepwell.cli.web DESCRIPTOR`. Requests of apps (`/e`, `/fn/*`, `/api/apps`) go to the gateway, all others to
the dashboard. Both see the same journal. SIGTERM ends it after the requests under way.
"""

import asyncio
import random
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
import uvloop

from stepwell_dashboard.app import create_app as create_dashboard
from stepwell_dashboard.server import Server
from stepwell_engine.errors import StepwellError
from stepwell_engine.gateway import PATHS
from stepwell_engine.gateway import create_app as create_gateway
from stepwell_engine.journal import Journal
from stepwell_engine.services.notifier import Notifier
from stepwell_engine.settings import Settings
from stepwell_engine.telemetry import configure_logging

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def by_path(gateway: Application, dashboard: Application) -> Application:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        ours = any(path == prefix or (prefix.endswith("/") and path.startswith(prefix)) for prefix in PATHS)
        await (gateway if ours else dashboard)(scope, receive, send)

    return application


async def serve(descriptor: int) -> None:
    settings = Settings.from_environment()
    configure_logging(level=settings.log_level, format=settings.log_format)
    async with await Journal.open(settings.database_url, sealer=settings.sealer, size=settings.pool_size) as journal:
        told = Notifier(journal.hints, listeners={}, rng=random.Random()).work_made  # noqa: S311 - jitter
        dashboard = create_dashboard(settings, journal, work_made=told)
        application = by_path(create_gateway(journal, settings, work_made=told), dashboard)
        config = uvicorn.Config(
            application,
            http="httptools",
            loop="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
        await Server(config, dashboard).serve(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    try:
        uvloop.run(serve(int(sys.argv[1])))
    except StepwellError as error:
        sys.exit(f"web: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
