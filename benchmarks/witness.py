"""Hears from the app under measurement when a run's handler has returned its last step, over a datagram socket.

It costs the app one system call for all runs that end at about the same time and the engine nothing, where asking the engine over
and over would load what is being measured. What it tells is a moment early, because the run's end is not yet committed: who needs
the durable end asks the database from then on.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import orjson

ADDRESS = "BENCH_WITNESS"


class Teller:
    """The app's side: tells what has ended since the loop last came round, in one datagram."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.connect(os.environ[ADDRESS])
        self._ended: list[tuple[int, list[float]]] = []

    def tell(self, number: int, started: list[float]) -> None:
        """Run `number` has ended; `started` is when each of its steps began."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._send)
        self._ended.append((number, [later - earlier for earlier, later in pairwise(started)]))

    def _send(self) -> None:
        self._socket.send(orjson.dumps(self._ended))
        self._ended.clear()


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
                for number, gaps in orjson.loads(self._socket.recv(1 << 20)):
                    future = self._awaited.pop(number, None)
                    if future is not None and not future.done():
                        future.set_result(tuple(gaps))
