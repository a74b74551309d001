"""A bare process that serves one app: uvicorn with httptools, and uvloop where it is installed.

The engine is told about the app once the port is open; if it is away, it is told as soon as it is back, and the app
answers meanwhile.
"""

import asyncio
from socket import socket
from typing import TYPE_CHECKING, Final

from stepwell.asgi import Asgi
from stepwell.current import log
from stepwell.errors import ConfigurationError, EngineUnreachable, StepwellError
from stepwell_protocol.serving import OneWrite, settle_memory

if TYPE_CHECKING:
    from stepwell.app import App

_PAUSE: Final = 1.0


def serve(app: "App", *, host: str, port: int, path: str, url: str | None) -> None:
    """Serve until the process is stopped."""
    try:
        import uvicorn
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        raise ConfigurationError("app.serve needs uvicorn: install `stepwell[serve]`") from None

    class Protocol(OneWrite, HttpToolsProtocol):
        pass

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            settle_memory()
            self.announcing = asyncio.create_task(_announce(app, address))

        async def shutdown(self, sockets: list[socket] | None = None) -> None:
            self.announcing.cancel()
            await super().shutdown(sockets=sockets)
            await app.close()

    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - what a wildcard is reached by
    address = url or f"http://{shown}:{port}{path}"
    config = uvicorn.Config(
        Asgi(app, path=path),
        host=host,
        port=port,
        http=Protocol,
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        log_level="warning",
    )
    Server(config).run()


async def _announce(app: "App", address: str) -> None:
    while True:
        try:
            await app.sync(address)
        except EngineUnreachable as error:
            log.warning("the engine is away, trying again: %s", error)
            await asyncio.sleep(_PAUSE)
        except StepwellError as error:
            log.error("the engine refused what app %r serves: %s", app.name, error)
            return
        else:
            log.info("app %r is served at %s", app.name, address)
            return
