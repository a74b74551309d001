"""Who gets which run: leases, their order, and the fairness between apps."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from integration.world import OTHER, OWNER, World, exchange, on
from stepwell_engine.driving.leased import LeasedRun
from stepwell_engine.journal import Journal
from stepwell_engine.journal.queue import NewEntry
from stepwell_engine.model import Entry


async def test_a_claim_brings_what_is_needed_to_call(world: World) -> None:
    app = await world.app()
    definition = await world.function(app, priority=3)
    run_id = await world.start(app, input={"orderId": "o1"})
    (lease,) = await world.claim()
    assert (lease.run_id, lease.app_id, lease.name, lease.revision) == (run_id, app.id, "work", 1)
    assert (lease.definition_id, lease.input, lease.event_name) == (definition.id, b'{"orderId":"o1"}', "$start")
    assert lease.lease_until - lease.now == pytest.approx(timedelta(seconds=30), abs=timedelta(seconds=1))
    assert await world.state(run_id) == "executing"


async def test_a_leased_run_is_not_claimed_again(world: World) -> None:
    app = await world.app()
    await world.function(app)
    await world.start(app)
    assert len(await world.claim(owner=OWNER)) == 1
    assert await world.claim(owner=OTHER) == []


async def test_concurrent_workers_never_hold_one_run_together(world: World, journal: Journal) -> None:
    app = await world.app(max_in_flight=1000)
    await world.function(app, triggers=on("many"))
    started = await world.backlog(app, 200)

    async def greedy(owner: UUID) -> list[UUID]:
        held: list[UUID] = []
        while claimed := await journal.queue.claim(owner=owner, limit=7, lease=timedelta(seconds=30), rooms={}):
            held += [lease.run_id for lease in claimed]
        return held

    taken = await asyncio.gather(*[greedy(UUID(int=n)) for n in range(4)])
    assert Counter(run_id for held in taken for run_id in held) == Counter(started)


async def test_every_claim_of_a_run_has_a_greater_token(world: World) -> None:
    app = await world.app()
    await world.function(app)
    tokens = []
    lease = await world.claimed(app)
    for _ in range(3):
        tokens.append(lease.token)
        await world.complete(exchange(lease, "release", activity="queued"))
        (lease,) = await world.claim()
    assert tokens == sorted(set(tokens))
    assert lease.token > tokens[-1]


async def test_the_token_rises_also_when_the_job_was_deleted_and_made_again(world: World) -> None:
    app = await world.app()
    await world.function(app)
    first = await world.claimed(app)
    await world.complete(exchange(first, "park", sleep=first.now))
    await world.journal.waits.resolve_due(limit=10)
    (second,) = await world.claim()
    assert second.token > first.token


async def test_a_backlog_of_one_app_does_not_delay_the_first_run_of_another(world: World) -> None:
    busy, quiet = await world.app("busy", max_in_flight=10_000), await world.app("quiet")
    await world.function(busy, triggers=on("many"))
    await world.function(quiet)
    await world.backlog(busy, 5_000)
    late = await world.start(quiet)
    claimed = await world.claim(limit=16)
    assert late in {lease.run_id for lease in claimed}
    assert Counter(lease.app_id for lease in claimed)[busy.id] >= 8


async def test_each_of_many_apps_gets_its_share_in_turn(world: World) -> None:
    apps = [await world.app(f"app{n}") for n in range(5)]
    for app in apps:
        await world.function(app, triggers=on("many"))
        await world.backlog(app, 20)
    claimed = await world.claim(limit=25)
    assert Counter(lease.app_id for lease in claimed) == {app.id: 5 for app in apps}


async def test_apps_that_outnumber_the_room_are_all_served_in_time(world: World) -> None:
    apps = [await world.app(f"app{n}") for n in range(6)]
    for app in apps:
        await world.function(app)
        await world.start(app)
    served: set[str] = set()
    for _ in range(3):
        served |= {lease.app_id for lease in await world.claim(limit=2)}
    assert served == {app.id for app in apps}


async def test_inside_an_app_a_higher_priority_goes_first_and_then_the_older_run(world: World) -> None:
    app = await world.app()
    await world.function(app, "low", priority=-1)
    await world.function(app, "plain")
    await world.function(app, "high", priority=10)
    plain = [await world.start(app, "plain") for _ in range(2)]
    low = await world.start(app, "low")
    high = await world.start(app, "high")
    order = [(await world.claim(limit=1))[0].run_id for _ in range(4)]
    assert order == [high, *plain, low]


async def test_the_highest_and_lowest_priorities_that_a_definition_may_have_are_kept(world: World) -> None:
    app = await world.app()
    await world.function(app, "high", priority=1_000_000, triggers=on("go"))
    await world.function(app, "low", priority=-1_000_000, triggers=on("go"))
    (accepted,) = await world.send(app, ("go", None))
    assert len(accepted.run_ids) == 2
    assert [(await world.claim(limit=1))[0].name for _ in range(2)] == ["high", "low"]


async def test_a_run_that_is_not_due_is_not_claimed_before_its_time(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "release", activity="queued", delay=timedelta(hours=1)))
    assert await world.claim() == []
    await world.sql("update stepwell.job set due = now()")
    assert len(await world.claim()) == 1


async def test_an_app_gets_no_more_calls_than_it_has_room_for(world: World) -> None:
    app = await world.app(max_in_flight=3)
    await world.function(app, triggers=on("many"))
    await world.backlog(app, 10)
    assert len(await world.claim(limit=10)) == 3
    assert await world.claim(limit=10, rooms={app.id: 0}) == []
    assert len(await world.claim(limit=10, rooms={app.id: 2})) == 2


async def test_an_app_without_room_leaves_its_share_to_others(world: World) -> None:
    full, free = await world.app("full"), await world.app("free")
    for app in (full, free):
        await world.function(app, triggers=on("many"))
        await world.backlog(app, 10)
    claimed = await world.claim(limit=8, rooms={full.id: 0})
    assert [lease.app_id for lease in claimed] == [free.id] * 8


async def test_a_claim_brings_the_journal_so_far_byte_for_byte(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    data = b'{"z": 1.50,  "a": 1E2, "u": "\\u00e9\\/", "n": -0.0}'
    await world.complete(exchange(lease, "release", activity="queued", steps={"load": data}))
    (again,) = await world.claim()
    assert [(entry.entry, entry.step, entry.data) for entry in again.entries] == [(Entry.STEP_COMPLETED, "load", data)]


async def test_failures_come_back_as_failures_and_attempts_as_used(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    answer = exchange(lease, "release", activity="queued")
    answer.entries = [
        NewEntry(ordinal=1, entry=Entry.ATTEMPT_FAILED, step="mail", error=b'{"n":1}'),
        NewEntry(ordinal=2, entry=Entry.STEP_FAILED, step="pay", type="run", error=b'{"n":2}'),
        NewEntry(ordinal=3, entry=Entry.STEP_SKIPPED, step="gift"),
    ]
    await world.complete(answer)
    (again,) = await world.claim()
    run = LeasedRun(again, asked_at=0.0, lease_length=timedelta(seconds=30))
    assert run.attempts == {"mail": 1, "pay": 1}
    assert run.fragments == [b'"pay":{"type":"run","error":{"n":2}}']


async def test_the_job_of_a_run_that_has_ended_is_swept_by_the_claim_that_finds_it(world: World) -> None:
    app = await world.app()
    await world.function(app)
    run_id = await world.start(app)
    await world.journal.control.cancel(run_id)
    await world.sql("insert into stepwell.job (run_id, app_id) select id, app_id from stepwell.run")
    assert await world.claim() == []
    assert await world.job(run_id) is None
