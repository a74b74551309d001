"""The Stepwell app: a function of n steps on the Python SDK, served by `app.serve`."""

import os
import sys
import time

from benchmarks.systems.stepwell import EVENT, FUNCTION
from benchmarks.witness import Teller

from stepwell import App, Event, Step

STARTED: dict[int, list[float]] = {}
TELLER = Teller()
app = App("bench", checkpointing=bool(os.environ.get("BENCH_CHECKPOINTING")))


async def work(number: int, i: int) -> dict[str, int]:
    STARTED.setdefault(number, []).append(time.perf_counter())
    return {"ok": i}


@app.function(FUNCTION, on=Event(EVENT))
async def flow(step: Step, asked: dict[str, int]) -> None:
    for i in range(asked["steps"]):
        await step.run(f"s{i}", work, asked["number"], i)
    TELLER.tell(asked["number"], STARTED.pop(asked["number"], []))


if __name__ == "__main__":
    app.serve(port=int(sys.argv[1]))
