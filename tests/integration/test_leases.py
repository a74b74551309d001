"""What becomes of leases: renewed, expired, given back, lost too often."""

from datetime import timedelta
from uuid import UUID

from integration.pausing import Pausing
from integration.world import LEASE, World, exchange, on
from stepwell_engine.journal import Queue
from stepwell_engine.journal.queue import QUARANTINE_AFTER, Lease


async def one(world: World) -> Lease:
    app = await world.app()
    await world.function(app)
    return await world.claimed(app)


async def expire(world: World, run_id: UUID) -> None:
    await world.sql(
        "update stepwell.job set lease_until = clock_timestamp() - interval '1 ms' where run_id = %(id)s", id=run_id
    )


async def test_a_lease_that_still_runs_is_not_reaped(world: World) -> None:
    lease = await one(world)
    assert await world.journal.queue.reap(limit=10, spread=timedelta()) == (0, [])
    assert await world.state(lease.run_id) == "executing"


async def test_an_expired_lease_is_queued_again_and_the_loss_is_journaled(world: World) -> None:
    lease = await one(world)
    await expire(world, lease.run_id)
    assert await world.journal.queue.reap(limit=10, spread=timedelta()) == (1, [])
    assert await world.state(lease.run_id) == "queued"
    assert await world.told(lease.run_id) == [("lease_lost", None)]
    (again,) = await world.claim()
    assert (again.run_id, again.losses) == (lease.run_id, 1)


async def test_an_expired_lease_is_reaped_once(world: World) -> None:
    lease = await one(world)
    await expire(world, lease.run_id)
    assert (await world.journal.queue.reap(limit=10, spread=timedelta()))[0] == 1
    assert (await world.journal.queue.reap(limit=10, spread=timedelta()))[0] == 0


async def test_reaped_runs_come_back_spread_over_a_moment(world: World) -> None:
    app = await world.app(max_in_flight=100)
    await world.function(app, triggers=on("many"))
    await world.backlog(app, 50)
    await world.claim(limit=50)
    await world.sql("update stepwell.job set lease_until = now() - interval '1 s'")
    await world.journal.queue.reap(limit=100, spread=timedelta(seconds=10))
    spread = await world.value("select extract(epoch from max(due) - min(due))::float8 from stepwell.job")
    assert 5 < spread < 10


async def test_a_renewal_prolongs_by_the_databases_clock(world: World) -> None:
    lease = await one(world)
    await world.sql("update stepwell.job set lease_until = clock_timestamp() + interval '5 s'")
    renewed = await world.journal.queue.renew([(lease.run_id, lease.token)], lease=LEASE)
    fresh = renewed[lease.run_id, lease.token]
    assert timedelta(seconds=29) < fresh.lease_until - fresh.now <= LEASE
    job = await world.job(lease.run_id)
    assert job is not None
    assert job["lease_until"] == fresh.lease_until


async def test_a_lease_that_has_expired_is_not_renewed_even_if_nobody_reaped_it(world: World) -> None:
    lease = await one(world)
    await expire(world, lease.run_id)
    assert await world.journal.queue.renew([(lease.run_id, lease.token)], lease=LEASE) == {}


async def test_a_renewal_under_an_old_token_finds_nothing(world: World) -> None:
    lease = await one(world)
    await world.complete(exchange(lease, "release"))
    (current,) = await world.claim()
    assert await world.journal.queue.renew([(lease.run_id, lease.token)], lease=LEASE) == {}
    assert set(await world.journal.queue.renew([(current.run_id, current.token)], lease=LEASE)) == {
        (current.run_id, current.token)
    }


async def test_the_reaper_looks_again_before_it_takes_a_lease_that_was_renewed_meanwhile(
    world: World, database_url: str
) -> None:
    lease = await one(world)
    await expire(world, lease.run_id)
    async with Pausing.open(database_url) as renewing:
        commit = renewing.before("commit")
        # Renewed just in time, by the database's clock, and not committed yet.
        await world.sql("update stepwell.job set lease_until = clock_timestamp() + interval '50 ms'")
        task = renewing.task(Queue(renewing).renew([(lease.run_id, lease.token)], lease=LEASE))
        await commit.reached()
        await world.value("select pg_sleep(0.06)")
        async with Pausing.open(database_url) as reaping:
            reaped = reaping.task(Queue(reaping).reap(limit=10, spread=timedelta()))
            # The reaper skips what is locked; when it has waited instead, it must see the renewal.
            await reaping.blocked_or_done(reaped)
            commit.release()
            assert await reaped == (0, [])
        assert len(await task) == 1
    assert await world.state(lease.run_id) == "executing"
    assert await world.told(lease.run_id) == []


async def test_five_lost_leases_in_a_row_quarantine_a_run(world: World) -> None:
    lease = await one(world)
    for _ in range(QUARANTINE_AFTER - 1):
        await expire(world, lease.run_id)
        assert (await world.journal.queue.reap(limit=10, spread=timedelta()))[1] == []
        (lease,) = await world.claim()
    await expire(world, lease.run_id)
    assert await world.journal.queue.reap(limit=10, spread=timedelta()) == (1, [lease.run_id])
    run = await world.run(lease.run_id)
    assert (run["activity"], run["reason"]) == ("paused", "Quarantined")
    assert (await world.told(lease.run_id))[-1] == ("run_paused", None)
    assert (await world.claim(), await world.job(lease.run_id)) == ([], None)


async def test_a_result_between_lost_leases_starts_the_count_anew(world: World) -> None:
    lease = await one(world)
    for number in range(QUARANTINE_AFTER + 2):
        await world.complete(exchange(lease, steps={f"s{number}": b"1"}))
        await expire(world, lease.run_id)
        assert (await world.journal.queue.reap(limit=10, spread=timedelta()))[1] == []
        (lease,) = await world.claim()
    assert lease.losses == 1


async def test_a_quarantined_run_goes_on_when_somebody_resumes_it(world: World) -> None:
    lease = await one(world)
    for _ in range(QUARANTINE_AFTER):
        await expire(world, lease.run_id)
        await world.journal.queue.reap(limit=10, spread=timedelta())
        lease = next(iter(await world.claim()), lease)
    await world.journal.control.resume(lease.run_id)
    (again,) = await world.claim()
    assert (again.run_id, again.losses) == (lease.run_id, 0)


async def test_a_worker_that_stops_gives_its_runs_back_at_once(world: World) -> None:
    lease = await one(world)
    await world.journal.queue.release([(lease.run_id, lease.token)])
    assert await world.state(lease.run_id) == "queued"
    (again,) = await world.claim()
    assert (again.run_id, again.losses) == (lease.run_id, 0)
    assert await world.complete(exchange(lease, steps={"a": b"1"})) == [False]


async def test_what_somebody_else_holds_by_now_is_not_given_back(world: World) -> None:
    lease = await one(world)
    await world.complete(exchange(lease, "release"))
    (current,) = await world.claim()
    await world.journal.queue.release([(lease.run_id, lease.token)])
    job = await world.job(lease.run_id)
    assert job is not None
    assert job["token"] == current.token
