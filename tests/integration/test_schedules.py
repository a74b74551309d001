"""Schedules and cron triggers: each instant fires once, none before its time, and downtime is followed by no storm."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from integration.pausing import Pausing
from integration.world import World, exchange, opened
from stepwell_engine.clock import Ids, SystemClock
from stepwell_engine.journal import Schedules
from stepwell_engine.model import App, Definition, Kind

EVERY_MINUTE = "* * * * *"


@pytest.fixture
async def app(world: World) -> App:
    return await world.app()


@pytest.fixture
async def work(world: World, app: App) -> Definition:
    return await world.function(app)


async def due(world: World, target: Definition, *, late: timedelta = timedelta(seconds=1), **document: Any) -> None:
    """A schedule that every scheduler has seen, and whose instant came `late` ago."""
    await world.schedule(target, **{"schedule": EVERY_MINUTE, **document})
    await world.journal.schedules.fire()
    await instant(world, late=late)


async def instant(world: World, *, late: timedelta = timedelta(seconds=1)) -> None:
    await world.sql("update stepwell.schedule set next_at = now() - %(late)s", late=late)


async def runs(world: World) -> list[dict[str, Any]]:
    return await world.rows("select * from stepwell.run order by id")


async def test_a_new_schedule_waits_for_its_first_instant(world: World, work: Definition) -> None:
    await world.schedule(work, schedule=EVERY_MINUTE)
    started, next_in = await world.journal.schedules.fire()
    assert started == 0
    assert next_in is not None
    assert 0 < next_in <= 60


async def test_an_instant_that_has_come_starts_one_run(world: World, work: Definition) -> None:
    await due(world, work, input={"n": 1})
    at = await world.value("select next_at from stepwell.schedule")
    assert (await world.journal.schedules.fire())[0] == 1
    (run,) = await runs(world)
    assert (run["trigger"], run["event_name"], run["input"]) == ("schedule", "$cron", b'{"n":1}')
    schedule = await world.row("select * from stepwell.schedule")
    assert (schedule["last_at"], schedule["last_run"]) == (at, run["id"])
    assert (await world.journal.schedules.fire())[0] == 0


async def test_an_instant_fires_once_with_four_schedulers_at_it(
    world: World, work: Definition, database_url: str
) -> None:
    for n in range(10):
        await world.schedule(work, f"s{n}", schedule=EVERY_MINUTE)
    await world.journal.schedules.fire()
    await instant(world)
    async with AsyncExitStack() as stack:
        journals = [await stack.enter_async_context(await opened(database_url, size=2)) for _ in range(4)]
        fired = await asyncio.gather(*[journal.schedules.fire() for journal in journals for _ in range(4)])
    assert sum(started for started, _ in fired) == 10
    assert await world.value("select count(distinct event_ref) from stepwell.run") == 10
    assert len(await runs(world)) == 10


async def test_the_next_instant_lies_strictly_in_the_future_however_long_everything_was_down(
    world: World, work: Definition
) -> None:
    await due(world, work, late=timedelta(days=3))
    assert (await world.journal.schedules.fire())[0] == 0
    assert await world.value("select next_at > now() and next_at <= now() + interval '1 min' from stepwell.schedule")


async def test_catching_up_makes_one_late_run_and_no_storm(world: World, work: Definition) -> None:
    await due(world, work, late=timedelta(days=3), catchUp="One")
    assert [(await world.journal.schedules.fire())[0] for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize(("late", "started"), [(5, 1), (20, 0)])
async def test_an_instant_past_its_starting_deadline_is_skipped(
    world: World, work: Definition, late: int, started: int
) -> None:
    await due(world, work, late=timedelta(seconds=late), startingDeadline="10s")
    assert (await world.journal.schedules.fire())[0] == started


@pytest.mark.parametrize(("policy", "running"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
async def test_a_schedule_whose_last_run_still_goes_heeds_its_policy(
    world: World, work: Definition, policy: str, running: int
) -> None:
    await due(world, work, concurrencyPolicy=policy)
    await world.journal.schedules.fire()
    (first,) = await runs(world)
    await instant(world)
    await world.journal.schedules.fire()
    active = [run["id"] for run in await runs(world) if run["status"] == "active"]
    assert len(active) == running
    assert (first["id"] in active) == (policy != "Replace")
    if policy == "Replace":
        assert (await world.run(first["id"]))["reason"] == "Replaced"


@pytest.mark.parametrize("policy", ["Forbid", "Replace"])
async def test_a_schedule_whose_last_run_has_ended_starts_the_next(world: World, work: Definition, policy: str) -> None:
    await due(world, work, concurrencyPolicy=policy)
    await world.journal.schedules.fire()
    (lease,) = await world.claim()
    await world.complete(exchange(lease, "end"))
    await instant(world)
    assert (await world.journal.schedules.fire())[0] == 1
    assert [run["status"] for run in await runs(world)] == ["completed", "active"]


async def test_a_replaced_workflow_undoes_its_steps_while_the_next_run_starts(world: World, app: App) -> None:
    flow = await world.workflow(app, steps=[{"name": "a", "sleep": {"for": "1h"}}])
    await due(world, flow, concurrencyPolicy="Replace")
    await world.journal.schedules.fire()
    (lease,) = await world.claim()
    await world.complete(exchange(lease, steps={"a": b"1"}))
    await instant(world)
    assert (await world.journal.schedules.fire())[0] == 1
    first, second = await runs(world)
    assert (first["status"], first["cancel_requested"]) == ("active", True)
    assert (second["status"], second["cancel_requested"]) == ("active", False)


async def test_a_cron_trigger_starts_its_function_with_a_cron_event(world: World, app: App) -> None:
    await world.function(app, "nightly", triggers=[{"cron": {"schedule": "0 3 * * *", "timeZone": "Europe/Amsterdam"}}])
    await world.journal.schedules.fire()
    await world.sql("update stepwell.schedule set next_at = date_trunc('second', now())")
    assert (await world.journal.schedules.fire())[0] == 1
    (run,) = await runs(world)
    assert (run["trigger"], run["event_name"]) == ("cron", "$cron")
    given = json.loads(run["input"])
    assert given["schedule"] == "function/nightly#0"
    assert run["event_ref"] == f"function/nightly#0@{given['scheduledAt']}"


async def test_a_cron_trigger_is_computed_in_its_time_zone(world: World, app: App) -> None:
    await world.function(app, "nightly", triggers=[{"cron": {"schedule": "0 3 * * *", "timeZone": "Asia/Tokyo"}}])
    await world.journal.schedules.fire()
    assert (
        await world.value("select to_char(next_at at time zone 'Asia/Tokyo', 'HH24:MI') from stepwell.schedule")
        == "03:00"
    )


async def test_a_declaration_that_changes_nothing_keeps_the_next_instant(world: World, work: Definition) -> None:
    await due(world, work)
    await world.schedule(work, schedule=EVERY_MINUTE)
    assert (await world.journal.schedules.fire())[0] == 1


async def test_a_changed_schedule_is_computed_anew_and_does_not_fire_for_its_old_instant(
    world: World, work: Definition
) -> None:
    await due(world, work)
    await world.schedule(work, schedule="0 3 * * *")
    assert (await world.journal.schedules.fire())[0] == 0
    assert await world.value("select next_at > now() from stepwell.schedule")


async def test_a_cron_trigger_that_is_declared_again_keeps_its_instant(world: World, app: App) -> None:
    cron = [{"cron": {"schedule": EVERY_MINUTE}}]
    await world.function(app, triggers=cron)
    await world.journal.schedules.fire()
    await instant(world)
    await world.function(app, triggers=cron, priority=1)
    assert (await world.journal.schedules.fire())[0] == 1


async def test_a_cron_trigger_that_is_gone_fires_no_more(world: World, app: App) -> None:
    await world.function(app, triggers=[{"cron": {"schedule": EVERY_MINUTE}}])
    await world.journal.schedules.fire()
    await instant(world)
    await world.function(app, triggers=[])
    assert await world.journal.schedules.fire() == (0, None)


async def test_a_suspended_schedule_does_not_fire_and_does_not_make_up_for_it(world: World, work: Definition) -> None:
    await due(world, work, suspend=True)
    assert (await world.journal.schedules.fire())[0] == 0
    await world.schedule(work, schedule=EVERY_MINUTE)
    assert (await world.journal.schedules.fire())[0] == 0
    assert await world.value("select next_at > now() from stepwell.schedule")


async def test_a_suspended_definitions_instants_are_skipped(world: World, work: Definition, app: App) -> None:
    await due(world, work)
    await world.function(app, suspend=True)
    assert (await world.journal.schedules.fire())[0] == 0
    assert await runs(world) == []
    assert await world.value("select next_at > now() from stepwell.schedule")


async def test_a_retired_definitions_instants_are_skipped(world: World, work: Definition, app: App) -> None:
    await due(world, work)
    await world.journal.definitions.remove_definition(app.id, kind=Kind.FUNCTION, name="work")
    assert (await world.journal.schedules.fire())[0] == 0


async def test_a_removed_apps_schedules_neither_fire_nor_keep_the_scheduler_busy(
    world: World, work: Definition, app: App
) -> None:
    await due(world, work)
    await world.journal.definitions.remove_app(app.id)
    assert await world.journal.schedules.fire() == (0, None)


async def test_jitter_delays_the_run_and_not_the_schedule(world: World, work: Definition) -> None:
    await due(world, work, jitter="1h")
    await world.journal.schedules.fire()
    (run,) = await runs(world)
    assert run["activity"] == "scheduled"
    job = await world.job(run["id"])
    assert job is not None
    assert timedelta(0) < job["due"] - run["created_at"] < timedelta(hours=1)
    assert await world.claim() == []
    assert await world.value("select next_at <= now() + interval '1 min' from stepwell.schedule")


async def test_one_schedule_that_can_not_be_carried_out_does_not_hold_up_the_others(
    world: World, work: Definition, caplog: pytest.LogCaptureFixture
) -> None:
    await world.schedule(work, "broken", schedule=EVERY_MINUTE)
    await world.schedule(work, "fine", schedule=EVERY_MINUTE)
    await world.journal.schedules.fire()
    await instant(world)
    await world.sql("update stepwell.schedule set document = 'not json' where name = 'broken'")
    assert await world.journal.schedules.fire() == (1, None)
    assert "schedule broken" in caplog.text


async def test_an_instant_runs_on_the_definitions_active_revision(world: World, work: Definition, app: App) -> None:
    await due(world, work)
    await world.function(app, priority=5)
    await world.journal.schedules.fire()
    (run,) = await runs(world)
    assert (run["revision"], run["priority"]) == (2, 5)


async def test_a_crash_between_the_run_and_the_schedule_fires_the_instant_once(
    world: World, work: Definition, database_url: str
) -> None:
    await due(world, work)
    async with Pausing.open(database_url) as dying:
        advance = dying.before("schedules/advance")
        firing = dying.task(Schedules(dying, ids=Ids(clock=SystemClock())).fire())
        await advance.reached()
        firing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await firing
    assert await runs(world) == []
    assert (await world.journal.schedules.fire())[0] == 1
    assert [UUID(str(run["id"])) for run in await runs(world)] == [
        await world.value("select last_run from stepwell.schedule")
    ]
