"""The Restate app, run by the peers' own Python: a flow of n steps that tells the time between the starts of its steps."""

# mypy: ignore-errors

import time
from itertools import pairwise
from typing import Any

import restate

bench = restate.Service("Bench")


@bench.handler()
async def flow(context: restate.Context, request: dict[str, Any]) -> dict[str, Any]:
    started: list[float] = []

    def step(i: int) -> dict[str, int]:
        started.append(time.perf_counter())
        return {"ok": i}

    for i in range(request["steps"]):
        await context.run_typed(f"s{i}", step, i=i)
    return {"gaps": [later - earlier for earlier, later in pairwise(started)]}


app = restate.app([bench])
