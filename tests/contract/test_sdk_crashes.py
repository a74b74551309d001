"""An app keeps its side of the promises while its engine is killed again and again: what was acknowledged is not run
again, nothing is lost.

The app keeps a log of its own of every execution of every step. When all is over, the result that a handler saw must be
that of the step's last execution: an execution after the accepted one would be a start after its acknowledgement.
"""

import asyncio
import itertools

import pytest

from contract.serving import serving
from harness.dev import free_port
from harness.engine import EngineProcess
from stepwell import App, Client, Step, current_step

KILLS = 3
STEPS = 6


def declare(app: App, executions: list[tuple[str, str, int]]) -> None:
    numbers = itertools.count()

    async def work() -> int:
        await asyncio.sleep(0.01)
        step, number = current_step(), next(numbers)
        executions.append((step.run_id, step.id, number))
        return number

    @app.function(max_attempts=5)
    async def chain(step: Step) -> dict[str, int]:
        seen = {f"s{number}": await step.run(f"s{number}", work) for number in range(STEPS)}
        seen |= await step.parallel(**{name: step.run.later(name, work) for name in ("a", "b", "c")})
        await step.sleep("nap", "50ms")
        return seen | {"last": await step.run("last", work)}


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [True, False], ids=["checkpointing", "one-call-per-round"])
async def test_nothing_is_lost_and_nothing_acknowledged_runs_again_while_engines_die(
    database_url: str, checkpointing: bool
) -> None:
    executions: list[tuple[str, str, int]] = []
    environment = {"STEPWELL_PORT": str(free_port())}
    engine = EngineProcess(database_url, environment=environment)
    app = App("crashes", url=engine.url, checkpointing=checkpointing)
    declare(app, executions)
    started: list[str] = []
    async with serving(app) as url, Client(url=engine.url) as client:
        await app.sync(url)
        await client.register("crashes")
        for _ in range(KILLS):
            enough = len(executions) + 100
            async with asyncio.timeout(30):
                while len(executions) < enough:
                    started += [run.id for run in await asyncio.gather(*(client.start("chain") for _ in range(4)))]
            await asyncio.to_thread(engine.__exit__, None, None, None)
            engine = await asyncio.to_thread(EngineProcess, database_url, environment=environment)
        with engine:
            ended = [await client.wait(run_id) for run_id in started]
    assert [run.status for run in ended] == ["completed"] * len(started)
    last = {(run_id, step): number for run_id, step, number in executions}
    for run in ended:
        assert isinstance(run.output, dict)
        assert run.output == {step: last[run.id, step] for step in run.output}
        assert len(run.output) == STEPS + 4
