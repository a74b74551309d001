"""`stepwell-dashboard` as a process of its own: it says why it does not start, and it stops although streams are open."""

import asyncio
import base64
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE

import httpx
import pytest

from .conftest import TOKEN
from .sse_reader import reading
from .stage import DATA_KEY, Stage


def environment(database_url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STEPWELL_")}
    key = base64.b64encode(DATA_KEY).decode()
    return {
        **kept,
        "STEPWELL_DATABASE_URL": database_url,
        "STEPWELL_DATA_KEY": key,
        "STEPWELL_HOST": "127.0.0.1",
        **more,
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def dashboard_process(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stepwell_dashboard", env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )


async def test_without_a_token_it_says_what_to_set(database_url: str) -> None:
    process = await dashboard_process(environment(database_url))
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "STEPWELL_ADMIN_TOKEN" in said.decode()
    assert "Traceback" not in said.decode()


async def test_sigterm_ends_it_soon_although_a_stream_is_open(database_url: str, stage: Stage) -> None:
    run, port = stage.run(stage.app("shop"), "order"), free_port()
    process = await dashboard_process(environment(database_url, STEPWELL_ADMIN_TOKEN=TOKEN, STEPWELL_PORT=str(port)))
    headers = {"authorization": f"Bearer {TOKEN}"}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
            await started(client)
            async with reading(client, f"/api/v1/runs/{run.id}/stream") as messages:
                await anext(messages)
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(5):
                    async for _ in messages:
                        pass
            assert await asyncio.wait_for(process.wait(), 5) in (0, -signal.SIGTERM)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def started(client: httpx.AsyncClient) -> None:
    for _ in range(300):
        try:
            if (await client.get("/readyz")).status_code == 200:
                return
        except httpx.ConnectError:
            await asyncio.sleep(0.1)
    pytest.fail("the dashboard did not start within 30 s")
