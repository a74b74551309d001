"""Stepwell: one engine process, one app process (uvicorn, uvloop, httptools), one Postgres.

Runs are started by signed events, which is what an event-driven app does. With `checkpointing` the handler goes on in one call
and reports each step; without it the engine makes one call a step. Either way a step's result is committed before the next step
starts.
"""

import asyncio
import base64
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg

from benchmarks.database import Database
from benchmarks.load import Connection, Finished, closed_loop
from benchmarks.processes import process
from benchmarks.witness import ADDRESS, Witness
from stepwell_engine.local.network import free_port, well
from stepwell_protocol import headers
from stepwell_protocol.signing import sign_v2

ROOT = Path(__file__).parent.parent.parent
EVENT = "bench.asked"
FUNCTION = "bench-flow"
PATIENCE = 60.0


class Stepwell:
    def __init__(self, database: Database, scratch: Path, *, kind: str, app: str, checkpointing: bool) -> None:
        self.name = f"Stepwell, {kind}"
        self._app = f"benchmarks.systems.apps.{app}"
        self._database = database
        self._scratch = scratch
        self._checkpointing = checkpointing
        self.groups: dict[str, int] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        url = await asyncio.to_thread(self._database.fresh, "bench_stepwell")
        self._port, app_port = free_port(), free_port()
        token = secrets.token_urlsafe()
        engine_environment = {
            "STEPWELL_DATABASE_URL": url,
            "STEPWELL_DATA_KEY": base64.b64encode(os.urandom(32)).decode(),
            "STEPWELL_ADMIN_TOKEN": token,
            "STEPWELL_HOST": "127.0.0.1",
            "STEPWELL_PORT": str(self._port),
            "STEPWELL_CHECKPOINT_URL": f"http://127.0.0.1:{self._port}/fn/checkpoint" if self._checkpointing else "",
            "STEPWELL_MAX_RUNS": "1024",
            "STEPWELL_LOG_LEVEL": "warning",
        }
        engine = [sys.executable, "-m", "stepwell_engine"]
        await self._migrate([*engine, "migrate"], engine_environment)
        async with AsyncExitStack() as stack:
            worker = await stack.enter_async_context(
                process(
                    "stepwell-engine",
                    [*engine, "run"],
                    scratch=self._scratch,
                    environment=engine_environment,
                    ready=lambda: well(self._port),
                )
            )
            self._app_id, self._key = await self._register(token)
            self._rows = await stack.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
            socket = self._scratch / f"witness-{app_port}"
            self._witness = await stack.enter_async_context(Witness.listen(socket))
            app = await stack.enter_async_context(
                process(
                    "stepwell-app",
                    [sys.executable, "-m", self._app, str(app_port)],
                    scratch=self._scratch,
                    environment={
                        "PYTHONPATH": str(ROOT),
                        "STEPWELL_URL": f"http://127.0.0.1:{self._port}",
                        "STEPWELL_APP_ID": self._app_id,
                        "STEPWELL_SIGNING_KEY": self._key,
                        "BENCH_CHECKPOINTING": "1" if self._checkpointing else "",
                        ADDRESS: str(socket),
                    },
                    ready=self._synced,
                )
            )
            self.groups = {"engine": worker.pid, "app": app.pid, **self._database.groups}
            yield

    async def flows(self, numbers: Iterator[int], *, concurrency: int, steps: int) -> list[Finished]:
        async def by_event(connection: Connection, number: int) -> Finished:
            began = time.perf_counter()
            ended = self._witness.expect(number)
            await self._signed(connection, "/e", {"name": EVENT, "data": {"number": number, "steps": steps}})
            gaps = await asyncio.wait_for(ended, PATIENCE)
            return Finished(time.perf_counter() - began, gaps)

        async def to_the_end(connection: Connection, number: int) -> Finished:
            began = time.perf_counter()
            ended = self._witness.expect(number)
            body = {"function": FUNCTION, "input": {"number": number, "steps": steps}}
            run = (await self._signed(connection, "/fn/start", body))["id"]
            gaps = await asyncio.wait_for(ended, PATIENCE)
            while not await self._ended(run):
                pass
            return Finished(time.perf_counter() - began, gaps)

        return await closed_loop(
            self._port, numbers, concurrency=concurrency, one=to_the_end if concurrency == 1 else by_event
        )

    async def settled(self) -> None:
        while True:
            cursor = await self._rows.execute("select exists (select from stepwell.run where status = 'active')")
            if not (row := await cursor.fetchone()) or not row[0]:
                return
            await asyncio.sleep(0.01)

    async def _synced(self) -> bool:
        cursor = await self._rows.execute("select from stepwell.definition where name = %s", (FUNCTION,))
        return cursor.rowcount > 0

    async def _ended(self, run: str) -> bool:
        cursor = await self._rows.execute(
            "select status from stepwell.run where id = %s and status <> 'active'", (run,), prepare=True
        )
        row = await cursor.fetchone()
        if row and row[0] != "completed":
            raise RuntimeError(f"run {run} is {row[0]}")
        return row is not None

    async def _signed(self, connection: Connection, path: str, body: object) -> Any:
        content = orjson.dumps(body)
        signature = sign_v2(content, self._key, now=time.time())
        return await connection.request(
            path, content, headers={headers.APP: self._app_id, headers.SIGNATURE: signature}
        )

    async def _register(self, token: str) -> tuple[str, str]:
        async with Connection.open(self._port) as connection:
            made = await connection.request(
                "/api/apps", {"name": "bench", "environment": "dev"}, headers={"authorization": f"Bearer {token}"}
            )
        return made["appId"], made["signingKey"]

    async def _migrate(self, command: list[str], environment: dict[str, str]) -> None:
        run = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await run.communicate()
        if run.returncode:
            raise RuntimeError(f"the migration failed: {output.decode()[-500:]}")
