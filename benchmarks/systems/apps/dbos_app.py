"""The DBOS app, run by the peers' own Python. Each line of its input {"number", "steps"} is a run; each line of its output
is a finished one, [number, seconds, gaps]."""

# mypy: ignore-errors

import asyncio
import json
import os
import sys
import time
from itertools import pairwise
from typing import Any

from dbos import DBOS

STARTED: dict[int, list[float]] = {}


@DBOS.step()
async def work(number: int, i: int) -> dict[str, int]:
    STARTED[number].append(time.perf_counter())
    return {"ok": i}


@DBOS.workflow()
async def flow(number: int, steps: int) -> None:
    for i in range(steps):
        await work(number, i)


async def one(number: int, steps: int) -> tuple[float, list[float]]:
    STARTED[number] = []
    began = time.perf_counter()
    await flow(number, steps)
    seconds = time.perf_counter() - began
    return seconds, [later - earlier for earlier, later in pairwise(STARTED.pop(number))]


async def run(asked: dict[str, Any]) -> None:
    number = asked["number"]
    try:
        say([number, *await one(number, asked["steps"])])
    except Exception as error:  # noqa: BLE001 - told to the measuring process, which ends the measurement
        say([number, repr(error)])


async def main() -> None:
    DBOS(
        config={
            "name": "bench",
            "application_version": "1",
            "system_database_url": os.environ["BENCH_DATABASE_URL"],
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    say([])
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as group:
        while line := await reader.readline():
            group.create_task(run(json.loads(line)))


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


asyncio.run(main())
