"""DBOS: a library, so engine and app are one process; its database is the same Postgres server as ours.

The process is driven over its standard input: it keeps the load up by itself, since a run is started by a call.
"""

import asyncio
import itertools
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from benchmarks.database import Database
from benchmarks.load import Finished, LoadError
from stepwell_engine.local.command import Command

APP = Path(__file__).parent / "apps" / "dbos_app.py"


class Dbos:
    def __init__(self, python: Path, database: Database, scratch: Path, *, version: str) -> None:
        self.name = f"DBOS {version}"
        self._python = python
        self._database = database
        self._log = scratch / "dbos.log"
        self.groups: dict[str, int] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        url = await asyncio.to_thread(self._database.fresh, "bench_dbos")
        command = Command.leashed([str(self._python), str(APP)], environment={**os.environ, "BENCH_DATABASE_URL": url})
        with self._log.open("wb") as log:
            self._process: Process = await asyncio.create_subprocess_exec(
                *command.arguments, env=command.environment, stdin=PIPE, stdout=PIPE, stderr=log, limit=1 << 28
            )
        try:
            assert self._process.stdout is not None
            if not await self._process.stdout.readline():
                raise RuntimeError(self._obituary())
            self.groups = {"app": self._process.pid, **self._database.groups}
            yield
        finally:
            if self._process.returncode is None:
                self._process.send_signal(signal.SIGKILL)
                await self._process.wait()

    async def flows(self, numbers: Iterator[int], *, concurrency: int, steps: int) -> list[Finished]:
        finished: list[Finished] = []
        under_way = 0
        for number in itertools.islice(numbers, concurrency):
            self._start(number, steps)
            under_way += 1
        while under_way:
            finished.append(await self._next())
            under_way -= 1
            for number in itertools.islice(numbers, 1):
                self._start(number, steps)
                under_way += 1
        return finished

    async def settled(self) -> None:
        """Every run was waited for."""

    def _start(self, number: int, steps: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps({"number": number, "steps": steps}) + b"\n")

    async def _next(self) -> Finished:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            match orjson.loads(line) if line.startswith(b"[") else None:
                case [_, float(seconds), list(gaps)]:
                    return Finished(seconds, tuple(gaps))
                case [_, str(error)]:
                    raise LoadError(error)
        raise RuntimeError(self._obituary())

    def _obituary(self) -> str:
        return f"the DBOS process ended: {self._log.read_text()[-1000:]}"
