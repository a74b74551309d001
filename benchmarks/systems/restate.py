"""Restate: a single server with its defaults (RocksDB, synced log), and its Python SDK on granian over HTTP/2.

Of the servers that the SDK runs on, granian is the quickest (uvicorn and hypercorn reach 1,200 and 2,000 steps/s where it
reaches 2,400). A request to the ingress is answered when the run is durably done.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.load import Connection, Finished, LoadError, closed_loop
from benchmarks.processes import process
from stepwell_engine.local.network import free_port, well

APP = Path(__file__).parent / "apps"


class Restate:
    def __init__(self, server: Path, python: Path, scratch: Path, *, version: str, sdk: str) -> None:
        self.name = f"Restate {version}, Python SDK {sdk}"
        self._server = server
        self._python = python
        self._scratch = scratch
        self.groups: dict[str, int] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._ingress, admin, node, app = (free_port() for _ in range(4))
        environment = {
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FILTER": "error",
            "RESTATE_BASE_DIR": str(self._scratch / "restate"),
            "RESTATE_BIND_IP": "127.0.0.1",
            "RESTATE_BIND_PORT": str(node),
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_INGRESS__BIND_PORT": str(self._ingress),
            "RESTATE_ADMIN__BIND_PORT": str(admin),
        }
        granian = [
            str(self._python),
            "-m",
            "granian",
            "--interface",
            "asgi",
            "--http",
            "2",
            "--loop",
            "uvloop",
            "--no-log",
        ]
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(
                process(
                    "restate-server",
                    [str(self._server), "--no-logo"],
                    scratch=self._scratch,
                    environment=environment,
                    ready=lambda: well(admin, path="/health"),
                )
            )
            served = await stack.enter_async_context(
                process(
                    "restate-app",
                    [*granian, "--host", "127.0.0.1", "--port", str(app), "restate_app:app"],
                    scratch=self._scratch,
                    environment={"PYTHONPATH": str(APP), "RESTATE_LOGGING": "ERROR"},
                    ready=lambda: _listens(app),
                )
            )
            await self._register(admin, app)
            self.groups = {"engine": engine.pid, "app": served.pid}
            yield

    async def flows(self, numbers: Iterator[int], *, concurrency: int, steps: int) -> list[Finished]:
        async def one(connection: Connection, _: int) -> Finished:
            began = time.perf_counter()
            answer = await connection.request("/Bench/flow", {"steps": steps})
            return Finished(time.perf_counter() - began, tuple(answer["gaps"]))

        return await closed_loop(self._ingress, numbers, concurrency=concurrency, one=one)

    async def settled(self) -> None:
        """Every answer came after the run was done."""

    async def _register(self, admin: int, app: int) -> None:
        async with asyncio.timeout(60):
            while True:
                async with Connection.open(admin) as connection:
                    try:
                        await connection.request("/deployments", {"uri": f"http://127.0.0.1:{app}"})
                    except LoadError:
                        await asyncio.sleep(0.5)
                    else:
                        return


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
