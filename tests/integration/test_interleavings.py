"""Two transactions at the same rows, in both orders: no wake-up is lost, nothing happens twice, nobody deadlocks."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from integration.pausing import Pause, Pausing
from integration.world import World, exchange, results
from stepwell_engine.errors import Conflict
from stepwell_engine.journal import Control, Queue, Waits
from stepwell_engine.journal.queue import Exchange, Lease
from stepwell_engine.model import App


@pytest.fixture
async def app(world: World) -> App:
    app = await world.app()
    await world.function(app)
    return app


async def leased_with_a_due_timer(world: World, app: App) -> Lease:
    """A run that is executing while a sleep of its own is on record and due."""
    lease = await world.claimed(app)
    assert await world.complete(exchange(lease, sleep=await world.now())) == [True]
    return lease


async def leased_with_a_sent_event(world: World, app: App) -> Lease:
    """A run that is executing while a wait of its own is on record and its event is accepted."""
    lease = await world.claimed(app)
    assert await world.complete(exchange(lease, wait="approved")) == [True]
    await world.send(app, ("approved", None))
    return lease


def park(lease: Lease) -> Exchange:
    return exchange(lease, "park", seq=2)


async def waits_for_a_lock(database: Pausing, task: "asyncio.Task[object]") -> None:
    await database.blocked_or_done(task)
    assert not task.done(), f"it did not wait for the other transaction: {task}"


async def next_results(world: World, run_id: UUID) -> dict[str, bytes]:
    return next((results(lease.entries) for lease in await world.claim() if lease.run_id == run_id), {})


async def test_a_timer_that_fires_while_its_run_parks_wakes_it(world: World, app: App, database_url: str) -> None:
    lease = await leased_with_a_due_timer(world, app)
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as timers:
        commit = worker.before("commit")
        parking = worker.task(Queue(worker).complete([park(lease)]))
        await commit.reached()
        firing = timers.task(Waits(timers).resolve_due(limit=10))
        await waits_for_a_lock(timers, firing)
        commit.release()
        assert not (await parking)[lease.run_id].woken
        await firing
    assert await world.state(lease.run_id) == "queued"
    assert await next_results(world, lease.run_id) == {"nap": b"null"}


async def test_a_run_that_parks_while_its_timer_fires_learns_of_it(world: World, app: App, database_url: str) -> None:
    lease = await leased_with_a_due_timer(world, app)
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as timers:
        commit = timers.before("commit")
        firing = timers.task(Waits(timers).resolve_due(limit=10))
        await commit.reached()
        parking = worker.task(Queue(worker).complete([park(lease)]))
        await waits_for_a_lock(worker, parking)
        commit.release()
        await firing
        assert (await parking)[lease.run_id].woken
    found = await world.journal.queue.collect([(lease.run_id, lease.token)])
    assert results(found[lease.run_id].entries) == {"nap": b"null"}


async def test_an_event_that_arrives_while_its_run_parks_wakes_it(world: World, app: App, database_url: str) -> None:
    lease = await leased_with_a_sent_event(world, app)
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as router:
        commit = worker.before("commit")
        parking = worker.task(Queue(worker).complete([park(lease)]))
        await commit.reached()
        routing = router.task(Waits(router).route(limit=10))
        await waits_for_a_lock(router, routing)
        commit.release()
        await parking
        assert (await routing).satisfied == 1
    assert set(await next_results(world, lease.run_id)) == {"approve"}


async def test_a_run_that_parks_while_its_event_arrives_learns_of_it(world: World, app: App, database_url: str) -> None:
    lease = await leased_with_a_sent_event(world, app)
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as router:
        last = router.before("waits/routed")
        routing = router.task(Waits(router).route(limit=10))
        await last.reached()
        parking = worker.task(Queue(worker).complete([park(lease)]))
        await waits_for_a_lock(worker, parking)
        last.release()
        await routing
        assert (await parking)[lease.run_id].woken


async def test_a_wait_resolved_between_looking_and_parking_is_seen_by_the_parking(
    world: World, app: App, database_url: str
) -> None:
    """The worker collects, then the event comes, then it parks: the mark set in between must stand."""
    lease = await leased_with_a_sent_event(world, app)
    assert results((await world.journal.queue.collect([(lease.run_id, lease.token)]))[lease.run_id].entries) == {}
    await world.journal.waits.route(limit=10)
    assert (await world.journal.queue.complete([park(lease)]))[lease.run_id].woken


async def test_collecting_while_an_event_is_being_routed_waits_for_it(
    world: World, app: App, database_url: str
) -> None:
    lease = await leased_with_a_sent_event(world, app)
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as router:
        commit = router.before("waits/routed")
        routing = router.task(Waits(router).route(limit=10))
        await commit.reached()
        collecting = worker.task(Queue(worker).collect([(lease.run_id, lease.token)]))
        await waits_for_a_lock(worker, collecting)
        commit.release()
        await routing
        assert set(results((await collecting)[lease.run_id].entries)) == {"approve"}


async def first_then_second(pauses: tuple[Pause, Pause]) -> Pause:
    """Let whichever statement comes first pass, and stop before the other. Answers that one's pause."""
    arrivals = [asyncio.create_task(pause.reached()) for pause in pauses]
    await asyncio.wait(arrivals, return_when=asyncio.FIRST_COMPLETED)
    first = 0 if arrivals[0].done() else 1
    pauses[first].release()
    await asyncio.gather(*arrivals)
    return pauses[1 - first]


@pytest.mark.parametrize("outcome", ["end", "park"])
async def test_a_wake_up_and_a_completion_lock_in_one_order(
    world: World, app: App, database_url: str, outcome: str
) -> None:
    """Halfway through the wake-up a completion comes that locks the same rows. Job, run, wait is the order of both: in any
    other one Postgres would find a deadlock."""
    lease = await leased_with_a_due_timer(world, app)
    answer = exchange(lease, outcome, seq=2, ordinal=2, withdraw=True)  # type: ignore[arg-type]
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as timers:
        halfway = (timers.before("waits/wake"), timers.before("waits/resolve_due"))
        firing = timers.task(Waits(timers).resolve_due(limit=10))
        second = await first_then_second(halfway)
        completing = worker.task(Queue(worker).complete([answer]))
        await waits_for_a_lock(worker, completing)
        second.release()
        await firing
        assert lease.run_id in await completing


async def with_timeout(world: World, app: App) -> UUID:
    """A run that waits; its event is accepted and its timeout has come."""
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "park", wait="approved", timeout=await world.now()))
    await world.send(app, ("approved", None))
    return lease.run_id


async def test_of_event_and_timeout_the_event_wins_when_it_commits_first(
    world: World, app: App, database_url: str
) -> None:
    run_id = await with_timeout(world, app)
    async with Pausing.open(database_url) as router, Pausing.open(database_url) as timers:
        commit = router.before("waits/routed")
        routing = router.task(Waits(router).route(limit=10))
        await commit.reached()
        firing = timers.task(Waits(timers).resolve_due(limit=10))
        await waits_for_a_lock(timers, firing)
        commit.release()
        await asyncio.gather(routing, firing)
    assert [wait["outcome"] for wait in await world.waits(run_id)] == ["event"]
    assert (await next_results(world, run_id))["approve"] != b"null"
    assert (await world.told(run_id)).count(("wait_completed", "approve")) == 1


async def test_of_event_and_timeout_the_timeout_wins_when_it_commits_first(
    world: World, app: App, database_url: str
) -> None:
    run_id = await with_timeout(world, app)
    async with Pausing.open(database_url) as router, Pausing.open(database_url) as timers:
        commit = timers.before("commit")
        firing = timers.task(Waits(timers).resolve_due(limit=10))
        await commit.reached()
        routing = router.task(Waits(router).route(limit=10))
        await waits_for_a_lock(router, routing)
        commit.release()
        await asyncio.gather(routing, firing)
    assert [wait["outcome"] for wait in await world.waits(run_id)] == ["timed_out"]
    assert await next_results(world, run_id) == {"approve": b"null"}


async def test_a_cancel_while_a_completion_commits_finds_the_run_ended(
    world: World, app: App, database_url: str
) -> None:
    lease = await world.claimed(app)
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as person:
        commit = worker.before("commit")
        completing = worker.task(Queue(worker).complete([exchange(lease, "end")]))
        await commit.reached()
        cancelling = person.task(Control(person, ids=None).cancel(lease.run_id))  # type: ignore[arg-type]
        await waits_for_a_lock(person, cancelling)
        commit.release()
        assert lease.run_id in await completing
        with pytest.raises(Conflict, match="ended meanwhile"):
            await cancelling
    assert (await world.run(lease.run_id))["status"] == "completed"
    assert await world.told(lease.run_id) == [("run_completed", None)]


async def test_a_completion_while_a_cancel_commits_is_refused(world: World, app: App, database_url: str) -> None:
    lease = await world.claimed(app)
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as person:
        commit = person.before("commit")
        cancelling = person.task(Control(person, ids=None).cancel(lease.run_id))  # type: ignore[arg-type]
        await commit.reached()
        completing = worker.task(Queue(worker).complete([exchange(lease, "end")]))
        await waits_for_a_lock(worker, completing)
        commit.release()
        assert await cancelling == "cancelled"
        assert await completing == {}
    run = await world.run(lease.run_id)
    assert (run["status"], run["output"]) == ("cancelled", None)
    assert await world.told(lease.run_id) == [("run_cancelled", None)]


async def test_a_cancel_while_a_completion_parks_ends_the_run_and_its_waits(
    world: World, app: App, database_url: str
) -> None:
    lease = await world.claimed(app)
    later = await world.now() + timedelta(hours=1)
    async with Pausing.open(database_url) as worker, Pausing.open(database_url) as person:
        commit = worker.before("commit")
        parking = worker.task(Queue(worker).complete([exchange(lease, "park", sleep=later)]))
        await commit.reached()
        cancelling = person.task(Control(person, ids=None).cancel(lease.run_id))  # type: ignore[arg-type]
        await waits_for_a_lock(person, cancelling)
        commit.release()
        await parking
        assert await cancelling == "cancelled"
    assert (await world.state(lease.run_id), await world.waits(lease.run_id)) == ("cancelled", [])


@pytest.mark.parametrize("first", ["timer", "cancel"])
async def test_a_cancel_and_a_timer_at_once_leave_nothing_to_run(
    world: World, app: App, database_url: str, first: str
) -> None:
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "park", sleep=await world.now()))
    async with Pausing.open(database_url) as timers, Pausing.open(database_url) as person:
        commit = (timers if first == "timer" else person).before("commit")
        firing = Waits(timers).resolve_due(limit=10)
        cancelling = Control(person, ids=None).cancel(lease.run_id)  # type: ignore[arg-type]
        if first == "timer":
            tasks = [timers.task(firing), person.task(cancelling)]
        else:
            tasks = [person.task(cancelling), timers.task(firing)]
        await commit.reached()
        await (person if first == "timer" else timers).blocked_or_done(tasks[1])
        commit.release()
        await asyncio.gather(*tasks)
    assert await world.state(lease.run_id) == "cancelled"
    assert await world.claim() == []
    assert await world.waits(lease.run_id) == []
