"""Events in, runs out: each accepted event starts exactly what it should, once, and nothing of another app."""

import asyncio
from uuid import UUID

import pytest

from integration.pausing import Pausing
from integration.world import World, encoded, exchange, on, opened
from stepwell_engine.clock import Ids, SystemClock
from stepwell_engine.errors import Conflict, NotFound, Refused
from stepwell_engine.journal import Intake
from stepwell_engine.model import Kind, NewEvent


def event(app_id: str, name: str = "go", *, data: object = None, id: str | None = None) -> NewEvent:
    return NewEvent(app_id=app_id, name=name, data=encoded(data), deduplicate=id)


async def count(world: World, table: str) -> int:
    return int(await world.value(f"select count(*) from stepwell.{table}"))


# What starts


async def test_an_event_starts_one_run_of_each_definition_it_triggers(world: World) -> None:
    app = await world.app()
    await world.function(app, "first", triggers=on("go"))
    await world.workflow(app, "second", triggers=on("go"), steps=[{"name": "a", "sleep": {"for": "1s"}}])
    await world.function(app, "other", triggers=on("stay"))
    (accepted,) = await world.send(app, ("go", {"n": 1}))
    runs = [await world.run(run_id) for run_id in accepted.run_ids]
    assert {(run["kind"], run["name"], run["trigger"]) for run in runs} == {
        ("function", "first", "event"),
        ("workflow", "second", "event"),
    }
    assert {run["input"] for run in runs} == {b'{"n":1}'}
    assert await count(world, "run") == await count(world, "job") == 2


async def test_a_definition_that_names_one_event_twice_starts_one_run(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=[*on("go"), *on("go", when="event.data.n > 0")])
    (accepted,) = await world.send(app, ("go", {"n": 1}))
    assert len(accepted.run_ids) == 1


async def test_an_event_that_nobody_wants_is_kept_and_starts_nothing(world: World) -> None:
    app = await world.app()
    (accepted,) = await world.send(app, ("nobody.cares", None))
    assert accepted.run_ids == ()
    assert await count(world, "event") == 1


@pytest.mark.parametrize(
    ("data", "runs"),
    [({"plan": "pro"}, 1), ({"plan": "free"}, 0), ({}, 0), (None, 0), ({"plan": 7}, 0)],
    ids=["holds", "does not hold", "field missing", "no data", "another type"],
)
async def test_a_condition_decides_and_one_that_does_not_fit_the_data_does_not_hold(
    world: World, data: object, runs: int
) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go", when="event.data.plan == 'pro'"))
    (accepted,) = await world.send(app, ("go", data))
    assert len(accepted.run_ids) == runs


async def test_data_is_kept_byte_for_byte(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    odd = b'{"z": 1.50,  "a": 1E2, "u": "\\u00e9\\/", "n": -0.0, "big": 12345678901234567890123}'
    (accepted,) = await world.journal.intake.accept_events([NewEvent(app_id=app.id, name="go", data=odd)])
    assert await world.value("select data from stepwell.event") == odd
    assert (await world.run(accepted.run_ids[0]))["input"] == odd


async def test_a_retired_definition_starts_nothing(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    await world.journal.definitions.remove_definition(app.id, kind=Kind.FUNCTION, name="work")
    assert (await world.send(app, ("go", None)))[0].run_ids == ()
    with pytest.raises(NotFound, match="not declared in this app"):
        await world.start(app)


# Deduplication


async def test_an_event_sent_again_under_its_id_starts_nothing_and_answers_with_the_first(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    (first,) = await world.send(app, ("go", 1), id="e-1")
    (again,) = await world.send(app, ("go", 2), id="e-1")
    assert (again.event_id, again.run_ids, again.duplicate) == (first.event_id, first.run_ids, True)
    assert await count(world, "run") == await count(world, "event") == 1


async def test_a_repeat_answers_with_the_first_run_whatever_its_state(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    (first,) = await world.send(app, ("go", 1), id="e-1")
    await world.journal.control.cancel(first.run_ids[0])
    assert (await world.send(app, ("go", 1), id="e-1"))[0].run_ids == first.run_ids


async def test_equal_ids_in_one_batch_are_one_event(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    batch = [event(app.id, data=n, id="e-1") for n in range(3)]
    first, *repeats = await world.journal.intake.accept_events(batch)
    assert [(each.event_id, each.run_ids, each.duplicate) for each in repeats] == [
        (first.event_id, first.run_ids, True)
    ] * 2
    assert len(first.run_ids) == 1
    assert await world.value("select data from stepwell.event") == b"0"


async def test_an_id_means_nothing_to_another_app(world: World) -> None:
    ours, theirs = await world.app("ours"), await world.app("theirs")
    for app in (ours, theirs):
        await world.function(app, triggers=on("go"))
    (mine,) = await world.send(ours, ("go", None), id="e-1")
    (other,) = await world.send(theirs, ("go", None), id="e-1")
    assert not other.duplicate
    assert set(mine.run_ids).isdisjoint(other.run_ids)


async def test_an_id_answers_repeats_for_a_day(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    await world.send(app, ("go", None), id="e-1")
    assert await world.value("select extract(epoch from expires_at - now()) / 3600 from stepwell.event_key") > 23.9
    await world.sql("update stepwell.event_key set expires_at = now()")
    (fresh,) = await world.send(app, ("go", None), id="e-1")
    assert (fresh.duplicate, len(fresh.run_ids)) == (False, 1)


async def test_one_event_sent_by_many_at_once_starts_one_run(world: World, database_url: str) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    async with await opened(database_url) as other:
        answers = await asyncio.gather(
            *[
                journal.intake.accept_events([event(app.id, id="e-1")])
                for journal in (world.journal, other)
                for _ in range(10)
            ]
        )
    assert len({(each.event_id, each.run_ids) for (each,) in answers}) == 1
    assert [each.duplicate for (each,) in answers].count(False) == 1
    assert await count(world, "run") == 1


async def test_a_sender_that_repeats_while_the_first_is_still_being_accepted_gets_the_same_answer(
    world: World, database_url: str
) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    async with Pausing.open(database_url) as slow, Pausing.open(database_url) as quick:
        commit = slow.before("commit")
        first = slow.task(Intake(slow, ids=Ids(clock=SystemClock())).accept_events([event(app.id, id="e-1")]))
        await commit.reached()
        again = quick.task(Intake(quick, ids=Ids(clock=SystemClock())).accept_events([event(app.id, id="e-1")]))
        await quick.blocked()
        commit.release()
        (one,), (two,) = await first, await again
    assert (two.event_id, two.run_ids, two.duplicate) == (one.event_id, one.run_ids, True)


# All or nothing


async def test_a_batch_that_can_not_be_accepted_whole_is_not_accepted_at_all(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    with pytest.raises(Refused):
        await world.journal.intake.accept_events([event(app.id, id="e-1"), event("no-such-app", id="e-2")])
    for table in ("event", "event_key", "run", "job"):
        assert await count(world, table) == 0


async def test_an_engine_that_dies_before_its_commit_has_accepted_nothing(world: World, database_url: str) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    async with Pausing.open(database_url) as dying:
        commit = dying.before("commit")
        accepting = dying.task(Intake(dying, ids=Ids(clock=SystemClock())).accept_events([event(app.id, id="e-1")]))
        await commit.reached()
        accepting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await accepting
    for table in ("event", "event_key", "run", "job"):
        assert await count(world, table) == 0
    assert not (await world.send(app, ("go", None), id="e-1"))[0].duplicate


# Starting by hand


async def test_a_start_makes_one_run_with_its_labels(world: World) -> None:
    app = await world.app()
    await world.function(app)
    run_id, fresh = await world.journal.intake.start_run(
        app.id, kind=Kind.FUNCTION, name="work", input=b"[1]", labels={"tenant": "a"}
    )
    run = await world.run(run_id)
    assert fresh
    assert (run["input"], run["labels"], run["trigger"]) == (b"[1]", {"tenant": "a"}, "manual")


async def test_an_idempotency_key_starts_one_run_however_often(world: World) -> None:
    app = await world.app()
    await world.function(app)
    starts = [
        world.journal.intake.start_run(
            app.id, kind=Kind.FUNCTION, name="work", input=encoded(n), idempotency_key="order-7"
        )
        for n in range(6)
    ]
    answers = await asyncio.gather(*starts)
    assert len({run_id for run_id, _ in answers}) == 1
    assert [fresh for _, fresh in answers].count(True) == 1
    assert await count(world, "run") == 1


async def test_an_idempotency_key_belongs_to_its_definition(world: World) -> None:
    app = await world.app()
    started: set[UUID] = set()
    for name in ("one", "two"):
        await world.function(app, name)
        started.add(await world.start(app, name, idempotency_key="k"))
    assert len(started) == 2


async def test_an_idempotency_key_is_free_again_after_its_window(world: World) -> None:
    app = await world.app()
    await world.function(app)
    first = await world.start(app, idempotency_key="k")
    await world.sql("update stepwell.idempotency_key set expires_at = now()")
    assert await world.start(app, idempotency_key="k") != first


# Suspended


async def test_a_suspended_definition_holds_its_runs_and_lets_them_go_later(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"), suspend=True)
    (accepted,) = await world.send(app, ("go", 1))
    (run_id,) = accepted.run_ids
    run = await world.run(run_id)
    assert (run["activity"], run["reason"]) == ("paused", "Suspended")
    assert await world.claim() == []
    await world.function(app, triggers=on("go"), suspend=False)
    assert [lease.run_id for lease in await world.claim()] == [run_id]


async def test_a_suspended_definition_refuses_a_start_by_hand_and_says_what_to_do(world: World) -> None:
    app = await world.app()
    await world.function(app, suspend=True)
    with pytest.raises(Conflict, match=r"set spec\.suspend to false"):
        await world.start(app)


async def test_runs_that_were_paused_for_another_reason_stay_paused_when_a_suspension_ends(world: World) -> None:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    run_id = await world.start(app)
    await world.sql("delete from stepwell.job")
    await world.sql("update stepwell.run set activity = 'paused', reason = 'Quarantined'")
    await world.function(app, triggers=on("go"), suspend=True)
    await world.function(app, triggers=on("go"))
    assert await world.state(run_id) == "paused"


# Apart


async def test_an_event_of_one_app_starts_wakes_and_shows_nothing_in_another(world: World) -> None:
    ours, theirs = await world.app("ours"), await world.app("theirs")
    for app in (ours, theirs):
        await world.function(app, triggers=on("go"))
    (accepted,) = await world.send(ours, ("go", None))
    runs = [await world.run(run_id) for run_id in accepted.run_ids]
    assert [run["app_id"] for run in runs] == [ours.id]
    assert await world.value("select count(*) from stepwell.run where app_id = %(id)s", id=theirs.id) == 0
    assert await world.journal.intake.get_run(theirs.id, accepted.run_ids[0]) is None
    assert await world.journal.intake.get_run(ours.id, accepted.run_ids[0]) is not None


async def test_an_event_of_one_app_does_not_satisfy_a_wait_of_another(world: World) -> None:
    ours, theirs = await world.app("ours"), await world.app("theirs")
    await world.function(theirs)
    lease = await world.claimed(theirs)
    await world.complete(exchange(lease, "park", wait="approved"))
    await world.send(ours, ("approved", None))
    assert (await world.journal.waits.route(limit=10)).satisfied == 0
    assert await world.state(lease.run_id) == "waiting"


async def test_a_definition_of_one_app_can_not_be_started_from_another(world: World) -> None:
    ours, theirs = await world.app("ours"), await world.app("theirs")
    await world.function(theirs, "secret")
    with pytest.raises(NotFound):
        await world.start(ours, "secret")
