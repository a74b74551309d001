"""uvicorn, taught that streams never end by themselves."""

import socket

import uvicorn
from fastapi import FastAPI

from .app import stop_streams


class Server(uvicorn.Server):
    """Ends the streams of `app` before it waits for connections to close."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._streams = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stop_streams(self._streams)
        await super().shutdown(sockets)
