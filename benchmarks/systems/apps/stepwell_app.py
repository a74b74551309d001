"""The Stepwell app: a function of n steps on the Python SDK, served by `app.serve`."""

import json
import os
import socket
import sys
import time
from itertools import pairwise

from benchmarks.systems.stepwell import EVENT, FUNCTION
from benchmarks.witness import ADDRESS

from stepwell import App, Event, Step

STARTED: dict[int, list[float]] = {}
WITNESS = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
app = App("bench", checkpointing=bool(os.environ.get("BENCH_CHECKPOINTING")))


async def work(number: int, i: int) -> dict[str, int]:
    STARTED.setdefault(number, []).append(time.perf_counter())
    return {"ok": i}


@app.function(FUNCTION, on=Event(EVENT))
async def flow(step: Step, asked: dict[str, int]) -> None:
    for i in range(asked["steps"]):
        await step.run(f"s{i}", work, asked["number"], i)
    started = STARTED.pop(asked["number"], [])
    gaps = [later - earlier for earlier, later in pairwise(started)]
    WITNESS.send(json.dumps({"number": asked["number"], "gaps": gaps}).encode())


if __name__ == "__main__":
    WITNESS.connect(os.environ[ADDRESS])
    app.serve(port=int(sys.argv[1]))
