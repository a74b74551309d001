"""Hears from the app under measurement when a run's handler has returned its last step, over a datagram socket.

It costs the app one system call a run and the engine nothing, where asking the engine over and over would load what is being
measured. What it tells is a moment early, because the run's end is not yet committed: who needs the durable end asks the
database from then on.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ADDRESS = "BENCH_WITNESS"


class Witness:
    """A Unix socket: unlike UDP it loses nothing, a sender waits instead."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._awaited: dict[int, asyncio.Future[tuple[float, ...]]] = {}

    @classmethod
    @asynccontextmanager
    async def listen(cls, path: Path) -> "AsyncIterator[Witness]":
        """`path` is where the socket is made; apps find it in the variable BENCH_WITNESS."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(path))
            sock.setblocking(False)
            witness = cls(sock)
            loop = asyncio.get_running_loop()
            loop.add_reader(sock, witness.read)
            try:
                yield witness
            finally:
                loop.remove_reader(sock)

    def expect(self, number: int) -> "asyncio.Future[tuple[float, ...]]":
        """The time between the starts of run `number`'s steps, once its handler has ended."""
        future: asyncio.Future[tuple[float, ...]] = asyncio.get_running_loop().create_future()
        self._awaited[number] = future
        return future

    def read(self) -> None:
        with suppress(BlockingIOError):
            while True:
                told = json.loads(self._socket.recv(65536))
                future = self._awaited.pop(told["number"], None)
                if future is not None and not future.done():
                    future.set_result(tuple(told["gaps"]))
