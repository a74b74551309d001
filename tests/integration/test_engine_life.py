"""Engines come, go and work together: draining, handing over, losing leases, and what idling costs."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.postgres import own_postgres
from integration.apps import Json, done, serving, step, stepping, version_1, version_2
from integration.stand import hurry, idle, running, settings
from integration.world import KEY, World, on
from stepwell_engine.engine import Engine
from stepwell_engine.errors import Unavailable
from stepwell_engine.journal.migrate import migrate
from stepwell_engine.model import Kind, NewEvent
from stepwell_engine.settings import Settings


async def test_an_engine_starts_and_stops_and_stops_again(world: World, database_url: str) -> None:
    engine = await Engine.open(settings(database_url))
    engine.start()
    await engine.stop()
    await engine.stop()


async def test_an_engine_that_was_never_started_stops(world: World, database_url: str) -> None:
    engine = await Engine.open(settings(database_url))
    await engine.stop()


async def test_draining_finishes_the_call_under_way_and_commits_its_answer(world: World, database_url: str) -> None:
    under_way, gate = asyncio.Event(), asyncio.Event()

    async def handler(call: Json) -> Json:
        if "a" in call["steps"]:
            return done()
        under_way.set()
        await gate.wait()
        return step("a", 1)

    async with serving(version_1(KEY, work=handler)) as http:
        app = await world.app(url=http.url)
        await world.function(app)
        run_id = await world.start(app)
        engine = await Engine.open(settings(database_url))
        engine.start()
        await under_way.wait()
        stopping = asyncio.create_task(engine.stop())
        queued = await world.start(app)
        gate.set()
        await stopping
        assert len(http.received) == 1
        assert await world.told(run_id) == [("step_completed", "a")]
        for left in (run_id, queued):
            job = await world.job(left)
            assert job is not None
            assert (job["owner"], await world.state(left)) == (None, "queued")


async def test_a_drain_is_bounded_and_gives_back_what_it_could_not_finish(world: World, database_url: str) -> None:
    hanging = asyncio.Event()
    calls: list[Json] = []

    async def handler(call: Json) -> Json:
        calls.append(call)
        if len(calls) == 1:
            hanging.set()
            await asyncio.sleep(60)
        return done()

    async with serving(version_1(KEY, work=handler)) as http:
        app = await world.app(url=http.url)
        await world.function(app)
        async with running(database_url, drain=timedelta(milliseconds=100)):
            run_id = await world.start(app)
            await hanging.wait()
        job = await world.job(run_id)
        assert job is not None
        assert (job["owner"], job["losses"]) == (None, 0)
        async with running(database_url):
            assert (await world.ended(run_id))["status"] == "completed"


async def test_an_engine_stops_also_while_postgres_is_away(
    world: World, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = asyncio.Event()

    async def handler(call: Json) -> Json:
        hanging.set()
        await asyncio.sleep(60)
        return done()

    async with serving(version_1(KEY, work=handler)) as http:
        app = await world.app(url=http.url)
        await world.function(app)
        async with running(database_url, drain=timedelta(milliseconds=50)) as engine:
            await world.start(app)
            await hanging.wait()

            async def away(*_: object) -> None:
                raise Unavailable("Postgres is away")

            engine.journal.queue.release = away  # type: ignore[method-assign, assignment]
    assert "1 leases could not be given back and will expire: Postgres is away" in caplog.text


async def test_a_run_goes_on_under_another_engine_with_its_results(world: World, database_url: str) -> None:
    handler = stepping("a", "b", "c")
    async with serving(version_1(KEY, work=handler)) as http:
        app = await world.app(url=http.url)
        await world.function(app)
        run_id = await world.start(app)
        for finished in range(4):
            async with running(database_url) as engine:
                await world.until(f"select steps >= {finished} or status <> 'active' from stepwell.run")
                engine.worker._stopping = True
                await idle(engine)
        async with running(database_url):
            run = await world.ended(run_id)
    assert run["status"] == "completed"
    assert [row["data"] for row in await world.entries(run_id) if row["step"]] == [b"1", b"2", b"3"]


async def test_several_engines_share_the_work_and_execute_each_step_once(world: World, database_url: str) -> None:
    handler = stepping("a", "b")
    async with serving(version_1(KEY, work=handler)) as http, AsyncExitStack() as stack:
        app = await world.app(url=http.url)
        await world.function(app, triggers=on("many"))
        for _ in range(3):
            await stack.enter_async_context(running(database_url, pool_size=2))
        await world.backlog(app, 60)
        await world.until("select count(*) = 60 from stepwell.run where status = 'completed'", within=30)
    assert len(http.received) == 180
    assert await world.value("select count(distinct data) from stepwell.journal where step is not null") == 120


async def test_a_lease_that_can_not_be_renewed_ends_its_call_and_the_late_answer_is_refused(
    world: World, database_url: str
) -> None:
    calls: list[Json] = []
    hung_up = asyncio.Event()

    async def handler(call: Json) -> Json:
        calls.append(call)
        if len(calls) == 1:
            try:
                await asyncio.sleep(60)
            finally:
                hung_up.set()
        return step("a", len(calls)) if "a" not in call["steps"] else done()

    async with (
        serving(version_1(KEY, work=handler)) as http,
        running(database_url, lease=timedelta(seconds=1)) as engine,
    ):
        app = await world.app(url=http.url)
        await world.function(app)
        run_id = await world.start(app)
        await world.reached(run_id, "executing")
        await world.until("select true from stepwell.job where owner is not null")
        await world.sql("update stepwell.job set token = nextval('stepwell.lease_token'), lease_until = now()")
        await idle(engine)
        assert (await world.ended(run_id))["status"] == "completed"
    assert [row["data"] for row in await world.entries(run_id) if row["entry"] == "step_completed"] == [b"2"]


async def test_a_long_call_keeps_its_lease(world: World, database_url: str) -> None:
    async def handler(call: Json) -> Json:
        await asyncio.sleep(1.5)
        return done()

    async with serving(version_1(KEY, work=handler)) as http, running(database_url, lease=timedelta(seconds=1)):
        app = await world.app(url=http.url)
        await world.function(app)
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    assert len(http.received) == 1
    assert await world.told(run_id) == [("run_completed", None)]


async def test_a_run_that_breaks_its_engine_is_quarantined_and_its_neighbours_go_on(
    world: World, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serving(version_1(KEY, poison=stepping("a"), good=stepping("a"))) as http,
        running(database_url, lease=timedelta(seconds=1)) as engine,
    ):
        app = await world.app(url=http.url)
        await world.function(app, "poison")
        await world.function(app, "good")
        poison = await world.start(app, "poison")
        submit = engine.completer.submit

        def breaking(exchange: Any) -> Any:
            if exchange.run_id == poison:
                raise RuntimeError("a defect of the engine")
            return submit(exchange)

        engine.completer.__dict__["submit"] = breaking
        good = await world.start(app, "good")
        for lost in range(1, 6):
            await world.until(
                f"select owner is not null or losses >= {lost} from stepwell.job where run_id = '{poison}'"
            )
            await idle(engine)
            await world.sql("update stepwell.job set lease_until = now() where owner is not null")
            await world.until(f"select count(*) >= {lost} from stepwell.journal where entry = 'lease_lost'")
            if lost < 5:
                await hurry(world, engine)
        run = await world.reached(poison, "paused")
        assert (await world.ended(good))["status"] == "completed"
    assert run["reason"] == "Quarantined"
    assert "its lease is left to expire" in caplog.text


async def test_connections_that_break_again_and_again_lose_and_repeat_nothing_that_was_acknowledged(
    world: World, database_url: str
) -> None:
    acknowledged: dict[tuple[str, str], Any] = {}
    changed: list[str] = []
    numbers = itertools.count()

    def handler(call: Json) -> Json:
        for name, result in call["steps"].items():
            if acknowledged.setdefault((call["runId"], name), result) != result:
                changed.append(name)
        for name in ("a", "b", "c"):
            if name not in call["steps"]:
                return step(name, next(numbers))
        return done([result["data"] for result in call["steps"].values()])

    async with serving(version_1(KEY, work=handler)) as http, running(database_url, lease=timedelta(seconds=2)):
        app = await world.app(url=http.url)
        await world.function(app, triggers=on("many"))
        await world.backlog(app, 40)
        for finished in (5, 20, 60):
            await world.until(f"select count(*) >= {finished} from stepwell.journal where step is not null", within=30)
            # The engine may be between two connections at this very moment.
            await world.until(
                "select count(pg_terminate_backend(pid)) > 0 from pg_stat_activity "
                "where datname = current_database() and application_name = 'stepwell'"
            )
        await world.until("select count(*) = 40 from stepwell.run where status = 'completed'", within=60)
    assert changed == []
    runs = await world.rows(
        "select convert_from(run.output, 'utf8') as output, array_agg(convert_from(data, 'utf8') order by ordinal) as journaled "
        "from stepwell.run join stepwell.journal on run_id = id where step is not null group by run.id"
    )
    assert [run["output"].strip("[]").split(", ") for run in runs] == [run["journaled"] for run in runs]


async def test_a_worker_stays_on_one_run_and_makes_room_when_others_wait(world: World, database_url: str) -> None:
    numbers = itertools.count(1)
    gate = asyncio.Event()

    async def endless(call: Json) -> list[Json]:
        number = next(numbers)
        if number == 3:
            await gate.wait()
        return [done()] if number > 2000 else [step(f"s{number}", 1)]

    async with (
        serving(version_2(KEY, endless=endless, quick=lambda call: [done()])) as http,
        running(database_url, max_runs=1) as engine,
    ):
        app = await world.app(url=http.url, protocol=2)
        await world.function(app, "endless")
        await world.function(app, "quick")
        long_run = await world.start(app, "endless")
        await world.until("select count(*) >= 2 from stepwell.journal")
        assert len({row["token"] for row in await world.entries(long_run)}) == 1
        quick = await world.start(app, "quick")
        gate.set()
        assert (await world.ended(quick))["status"] == "completed"
        assert await world.state(long_run) in ("executing", "queued")
        await world.journal.control.cancel(long_run)
        await idle(engine)


async def test_work_is_found_by_looking_when_no_hint_comes(world: World, database_url: str) -> None:
    """A run, an event for it and its timer, each put on record by somebody who tells nobody."""
    until = "2020-01-01T00:00:00Z"

    def handler(call: Json) -> Json:
        if "approve" not in call["steps"]:
            return {"op": "wait", "id": "approve", "event": "approved", "match": None, "until": "2100-01-01T00:00:00Z"}
        return done() if "nap" in call["steps"] else {"op": "sleep", "id": "nap", "until": until}

    async with serving(version_1(KEY, work=handler)) as http, running(database_url) as engine:
        app = await world.app(url=http.url)
        await world.function(app)
        for service in engine.services:
            service.poke = lambda: None  # type: ignore[method-assign]
        engine.worker.poke = lambda: None  # type: ignore[method-assign]
        run_id, _ = await world.journal.intake.start_run(app.id, kind=Kind.FUNCTION, name="work", input=b"1")
        await world.reached(run_id, "waiting", within=5)
        await world.journal.intake.accept_events([NewEvent(app_id=app.id, name="approved", data=b"1")])
        assert (await world.ended(run_id, within=8))["status"] == "completed"


# What idling costs


@pytest.fixture
async def logging_postgres(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """A server of the test's own that logs every statement: (database address, log)."""
    with own_postgres(
        tmp_path, options={"fsync": "off", "log_statement": "all", "log_min_messages": "log"}
    ) as postgres:
        url = postgres.cluster.url("postgres")
        await migrate(url)
        yield url, tmp_path / "postgres.log"


async def test_an_idle_engine_asks_at_most_five_questions_a_second(
    logging_postgres: tuple[str, Path], record_property: Any
) -> None:
    url, log = logging_postgres
    seconds = 3.0
    given: Settings = settings(url)
    engine = await Engine.open(given)
    engine.start()
    try:
        # The first moments are for starting; what counts is the long quiet afterwards.
        await asyncio.sleep(2)
        before = len(log.read_bytes())
        await asyncio.sleep(seconds)
        asked = re.findall(r"(?:statement|execute [^:]*): (.*)", log.read_bytes()[before:].decode())
    finally:
        await engine.stop()
    record_property("statements per second", len(asked) / seconds)
    assert asked, "nothing was logged: the test measures nothing"
    assert len(asked) / seconds <= 5, "\n".join(sorted(asked))
