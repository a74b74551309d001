"""Sleeps, backoffs and waits for events: never early, once each, and no event is lost on the way."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from integration.pausing import Pausing
from integration.world import World, encoded, exchange, on, opened, results
from stepwell_engine.errors import Unavailable
from stepwell_engine.journal import Journal, Waits
from stepwell_engine.journal.database import statement
from stepwell_engine.model import App

HOUR = timedelta(hours=1)


async def sleeping(world: World, app: App, *, due: datetime) -> UUID:
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "park", sleep=due))
    return lease.run_id


async def waiting(
    world: World, app: App, *, event: str = "approved", match: object = None, timeout: datetime | None = None
) -> UUID:
    lease = await world.claimed(app)
    matched = None if match is None else encoded(match)
    await world.complete(exchange(lease, "park", wait=event, match=matched, timeout=timeout))
    return lease.run_id


async def went_on_with(world: World, run_id: UUID) -> dict[str, bytes]:
    """What the journal holds for the run's next call; empty when it was not woken."""
    return next((results(lease.entries) for lease in await world.claim() if lease.run_id == run_id), {})


@pytest.fixture
async def app(world: World) -> App:
    app = await world.app()
    await world.function(app)
    return app


# Timers


async def test_a_timer_is_left_alone_before_its_time(world: World, app: App) -> None:
    due = await world.now() + HOUR
    run_id = await sleeping(world, app, due=due)
    woken = await world.journal.waits.resolve_due(limit=10)
    assert (woken.count, woken.next_at) == (0, due)
    assert await world.state(run_id) == "sleeping"


async def test_a_timer_fires_when_its_time_has_come_and_not_a_moment_before(world: World, app: App) -> None:
    due = await world.now() + timedelta(milliseconds=120)
    run_id = await sleeping(world, app, due=due)
    while not (await world.journal.waits.resolve_due(limit=10)).count:
        assert await world.now() < due + timedelta(seconds=5)
    (wait,) = await world.waits(run_id)
    assert wait["resolved_at"] >= due
    assert await world.state(run_id) == "queued"


async def test_a_timer_fires_once(world: World, app: App) -> None:
    run_id = await sleeping(world, app, due=await world.now())
    assert (await world.journal.waits.resolve_due(limit=10)).count == 1
    assert (await world.journal.waits.resolve_due(limit=10)).count == 0
    assert await went_on_with(world, run_id) == {"nap": b"null"}
    assert await world.told(run_id) == [("wait_started", "nap"), ("wait_completed", "nap")]


async def test_the_next_timer_is_told_in_seconds(world: World, app: App) -> None:
    await sleeping(world, app, due=await world.now() + HOUR)
    await sleeping(world, app, due=await world.now() + timedelta(seconds=20))
    next_in = (await world.journal.waits.resolve_due(limit=10)).next_in
    assert next_in == pytest.approx(20, abs=2)


async def test_five_thousand_timers_of_one_moment_fire_once_each_with_two_services_at_it(
    world: World, database_url: str
) -> None:
    app = await world.app(max_in_flight=10_000)
    await world.function(app, triggers=on("many"))
    await world.backlog(app, 5_000)
    await world.sql("delete from stepwell.job")
    await world.sql("update stepwell.run set activity = 'sleeping'")
    await world.sql(
        "insert into stepwell.wait (run_id, step, app_id, type, due) select id, 'nap', app_id, 'sleep', now() from stepwell.run"
    )

    async def service(journal: Journal) -> int:
        fired = 0
        while await world.value("select exists (select from stepwell.wait where resolved_at is null)"):
            fired += (await journal.waits.resolve_due(limit=500)).count
        return fired

    async with await opened(database_url) as other:
        fired = await asyncio.gather(service(world.journal), service(other))
    assert sum(fired) == 5_000
    assert await world.value("select count(*) from stepwell.job where not woken") == 5_000
    assert await world.value("select count(*) from stepwell.run where activity = 'queued'") == 5_000


async def test_of_two_timer_services_the_second_leaves_the_first_alone(
    world: World, app: App, database_url: str
) -> None:
    await sleeping(world, app, due=await world.now())
    async with Pausing.open(database_url) as first:
        commit = first.before("commit")
        firing = first.task(Waits(first).resolve_due(limit=10))
        await commit.reached()
        assert (await world.journal.waits.resolve_due(limit=10)).count == 0
        commit.release()
        assert (await firing).count == 1


async def test_a_timer_service_that_freezes_halfway_does_not_hold_up_the_others(
    world: World, app: App, database_url: str
) -> None:
    await sleeping(world, app, due=await world.now())
    async with await opened(database_url) as frozen:
        with pytest.raises(Unavailable, match="idle-in-transaction"):  # noqa: PT012 - it ends inside the transaction
            async with frozen.database.transaction() as connection:
                await connection.execute(statement("waits/take_duty"))
                bound = await (await connection.execute("show idle_in_transaction_session_timeout")).fetchone()
                assert bound == ("10s",)
                await connection.execute("set local idle_in_transaction_session_timeout = '100ms'")
                async with asyncio.timeout(5):
                    while not (await world.journal.waits.resolve_due(limit=10)).count:
                        pass
                await connection.execute(statement("waits/take_duty"))


async def test_a_paused_runs_timer_does_not_wake_it_and_counts_when_it_is_resumed(world: World, app: App) -> None:
    run_id = await sleeping(world, app, due=await world.now())
    await world.sql("update stepwell.run set activity = 'paused'")
    await world.journal.waits.resolve_due(limit=10)
    assert (await world.job(run_id), await world.state(run_id)) == (None, "paused")
    await world.journal.control.resume(run_id)
    assert await went_on_with(world, run_id) == {"nap": b"null"}


# Events


async def test_an_event_wakes_the_run_that_waits_for_it_with_its_data_as_sent(world: World, app: App) -> None:
    run_id = await waiting(world, app)
    (accepted,) = await world.send(app, ("approved", {"by": "ada"}), id="e-1")
    assert (await world.journal.waits.route(limit=10)).satisfied == 1
    assert not accepted.run_ids
    assert await went_on_with(world, run_id) == {"approve": b'{"id":"e-1","name":"approved","data":{"by":"ada"}}'}


@pytest.mark.parametrize(
    ("match", "data", "satisfied"),
    [
        ({"orderId": "o1"}, {"orderId": "o1", "extra": 1}, 1),
        ({"orderId": "o1"}, {"orderId": "o2"}, 0),
        ({"order": {"id": 1}}, {"order": {"id": 1, "total": 5}}, 1),
        ({"orderId": "o1"}, None, 0),
        (None, None, 1),
        ({}, {"anything": True}, 1),
    ],
)
async def test_a_match_is_a_subset_of_the_events_data(
    world: World, app: App, match: Mapping[str, object] | None, data: object, satisfied: int
) -> None:
    await waiting(world, app, match=match)
    await world.send(app, ("approved", data))
    assert (await world.journal.waits.route(limit=10)).satisfied == satisfied


async def test_an_event_of_another_name_wakes_nobody(world: World, app: App) -> None:
    await waiting(world, app)
    await world.send(app, ("refused", None))
    assert (await world.journal.waits.route(limit=10)).satisfied == 0


async def test_an_event_accepted_before_the_wait_was_on_record_does_not_count(world: World, app: App) -> None:
    await world.send(app, ("approved", None))
    run_id = await waiting(world, app)
    assert (await world.journal.waits.route(limit=10)).satisfied == 0
    assert await world.state(run_id) == "waiting"


async def test_one_event_satisfies_every_run_that_waits_for_it(world: World, app: App) -> None:
    runs = [await waiting(world, app) for _ in range(3)]
    await world.send(app, ("approved", None))
    assert (await world.journal.waits.route(limit=10)).satisfied == 3
    assert {lease.run_id for lease in await world.claim()} == set(runs)


async def test_a_wait_is_satisfied_by_the_first_of_two_events_and_once(world: World, app: App) -> None:
    run_id = await waiting(world, app)
    await world.send(app, ("approved", 1), ("approved", 2))
    assert (await world.journal.waits.route(limit=10)).satisfied == 1
    await world.send(app, ("approved", 3))
    assert (await world.journal.waits.route(limit=10)).satisfied == 0
    (wait,) = await world.waits(run_id)
    assert wait["data"].endswith(b'"data":1}')


async def test_a_wait_that_nobody_satisfies_times_out_with_null(world: World, app: App) -> None:
    run_id = await waiting(world, app, timeout=await world.now())
    await world.journal.waits.resolve_due(limit=10)
    assert await went_on_with(world, run_id) == {"approve": b"null"}
    assert (await world.entries(run_id))[-1]["outcome"] == "timed_out"


async def test_an_event_after_the_timeout_changes_nothing(world: World, app: App) -> None:
    run_id = await waiting(world, app, timeout=await world.now())
    await world.journal.waits.resolve_due(limit=10)
    await world.send(app, ("approved", None))
    assert (await world.journal.waits.route(limit=10)).satisfied == 0
    assert await went_on_with(world, run_id) == {"approve": b"null"}


async def test_an_event_is_routed_once_by_two_routers(world: World, app: App, database_url: str) -> None:
    for _ in range(20):
        await waiting(world, app)
    await world.send(app, *[("approved", n) for n in range(50)])
    async with await opened(database_url) as other:
        routed = await asyncio.gather(
            *[journal.waits.route(limit=5) for journal in (world.journal, other) for _ in range(10)]
        )
        while (last := await other.waits.route(limit=50)).count:
            routed.append(last)
    assert sum(each.count for each in routed) == 50
    assert await world.value("select count(*) from stepwell.wait where outcome = 'event'") == 20
    assert await world.value("select count(*) from stepwell.job where owner is null") == 20


async def test_an_accepted_event_is_routed_also_when_its_engine_died_before_it_could(
    world: World, app: App, database_url: str
) -> None:
    run_id = await waiting(world, app)
    await world.send(app, ("approved", None))
    async with Pausing.open(database_url) as dying:
        commit = dying.before("commit")
        routing = dying.task(Waits(dying).route(limit=10))
        await commit.reached()
        routing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await routing
    assert await world.state(run_id) == "waiting"
    async with await opened(database_url) as another:
        assert (await another.waits.route(limit=10)).satisfied == 1
    assert await world.value("select count(*) from stepwell.event where unrouted") == 0
    assert await world.state(run_id) == "queued"
