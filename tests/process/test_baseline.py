"""What a load has used is given back: memory, connections, dead rows, and the log says nothing per run.

Waves of the same load go through one engine process. The first ones fill caches and pools; from then on a wave must leave what
it found.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
import pytest
from psycopg.rows import scalar_row

from contract.serving import serving, until
from harness.engine import EngineProcess
from stepwell import App, Backoff, Client, Event, NewEvent, Step, current_step

RUNS = 1_000
WARMING = 2
#: Two kilobytes kept for each run of the two waves that count would be seen; a run's state in memory is more. Python's allocator
#: takes memory in arenas of one MiB, so less than some of them says nothing.
SLACK = 2 * RUNS * 2048
#: STEPWELL_POOL_SIZE's default, and seven besides.
CONNECTIONS = 15
#: Of the engine's duties, which go on.
DEAD_ROWS = 50


def declare(app: App) -> None:
    async def work(number: int) -> dict[str, int]:
        if number % 20 == 0 and current_step().attempt == 1:
            raise ConnectionError("busy")
        return {"number": number}

    @app.function(on=Event("wave"), max_attempts=2, backoff=Backoff("10ms"))
    async def ordinary(step: Step, number: int) -> int:
        await step.run("first", work, number)
        await step.sleep("nap", "10ms")
        await step.parallel(a=step.run.later("a", work, 1), b=step.run.later("b", work, 2))
        await step.wait_for_event("wait", "never.sent", timeout="10ms")
        return number


@dataclass(frozen=True, slots=True)
class Usage:
    memory: int
    connections: int
    log_lines: int


class Observed:
    def __init__(self, engine: EngineProcess, database: psycopg.Connection[Any]) -> None:
        self._engine = engine
        self._process = psutil.Process(engine.pid)
        self._database = database

    def ask(self, query: str) -> int:
        with self._database.cursor(row_factory=scalar_row) as cursor:
            return int(cursor.execute(query.encode()).fetchone() or 0)

    def has_no_dead_rows(self) -> bool:
        """Whether vacuum can take away all that was left behind: that nobody may still look at it."""
        self._database.execute("vacuum stepwell.run, stepwell.job, stepwell.wait, stepwell.journal, stepwell.event")
        return self.ask("select sum(n_dead_tup) from pg_stat_user_tables where schemaname = 'stepwell'") < DEAD_ROWS

    def usage(self) -> Usage:
        return Usage(
            memory=self._process.memory_full_info().uss,
            connections=self.ask("select count(*) from pg_stat_activity where application_name like 'stepwell%'"),
            log_lines=len(self._engine.lines),
        )


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [True, False], ids=["checkpointing", "one-call-per-round"])
async def test_a_load_gives_back_what_it_used(database_url: str, checkpointing: bool) -> None:
    with EngineProcess(database_url, lease=30) as engine, psycopg.connect(database_url, autocommit=True) as database:
        observed = Observed(engine, database)
        app = App("waves", url=engine.url, checkpointing=checkpointing)
        declare(app)
        async with serving(app) as url, Client(url=engine.url) as client:
            await app.sync(url)
            await client.register("waves")

            async def wave(number: int) -> Usage:
                for _ in range(RUNS // 100):
                    await client.send_many([NewEvent("wave", each) for each in range(100)])
                ended = f"select count(*) = {RUNS * (number + 1)} from stepwell.run where status = 'completed'"
                async with asyncio.timeout(60):
                    await until(lambda: bool(observed.ask(f"select ({ended})::integer")))
                    # A service may be asking something at the very moment of a vacuum.
                    await until(observed.has_no_dead_rows)
                return observed.usage()

            used = [await wave(number) for number in range(WARMING + 3)]
    before, *_, after = used[WARMING:]
    assert after.memory - before.memory < SLACK, used
    assert max(each.connections for each in used) <= CONNECTIONS, used
    assert {each.log_lines for each in used} == {used[0].log_lines}, engine.output
