"""Committing what apps answered: fenced by the token, all of it or nothing, and once."""

import random
from datetime import timedelta
from uuid import UUID

import pytest

from integration.world import OTHER, World, exchange, results
from stepwell_engine.errors import Refused
from stepwell_engine.journal.queue import Lease, NewEntry
from stepwell_engine.model import Entry
from stepwell_engine.services.completer import Completer


async def stale_and_current(world: World) -> tuple[Lease, Lease]:
    """One run claimed twice: the first lease expired unnoticed by its holder."""
    app = await world.app()
    await world.function(app)
    stale = await world.claimed(app)
    await world.sql("update stepwell.job set lease_until = now() - interval '1 second'")
    await world.journal.queue.reap(limit=10, spread=timedelta())
    (current,) = await world.claim(owner=OTHER)
    return stale, current


async def test_a_result_is_on_record_with_its_token_and_number(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    assert await world.complete(exchange(lease, seq=4, steps={"load": b'{"a":1}'})) == [True]
    (row,) = await world.entries(lease.run_id)
    assert (row["entry"], row["step"], row["data"]) == ("step_completed", "load", b'{"a":1}')
    assert (row["token"], row["seq"]) == (lease.token, 4)


@pytest.mark.parametrize("outcome", ["go", "park", "release", "pause", "end"])
async def test_an_answer_under_an_old_token_is_refused_and_leaves_no_trace(world: World, outcome: str) -> None:
    stale, current = await stale_and_current(world)
    before = (await world.run(stale.run_id), await world.job(stale.run_id), await world.entries(stale.run_id))
    late = exchange(stale, outcome, steps={"load": b'"late"'}, sleep=stale.now)  # type: ignore[arg-type]
    assert await world.complete(late) == [False]
    assert (await world.run(stale.run_id), await world.job(stale.run_id), await world.entries(stale.run_id)) == before
    assert await world.waits(stale.run_id) == []
    assert await world.complete(exchange(current, "release", steps={"load": b'"kept"'})) == [True]
    (again,) = await world.claim()
    assert results(again.entries) == {"load": b'"kept"'}


async def test_an_old_token_is_refused_also_when_nobody_holds_the_run(world: World) -> None:
    stale, current = await stale_and_current(world)
    await world.complete(exchange(current, "release"))
    assert await world.complete(exchange(stale, steps={"load": b"1"})) == [False]


async def test_an_old_token_in_a_batch_does_not_hurt_the_others(world: World) -> None:
    stale, _ = await stale_and_current(world)
    app = await world.journal.definitions.get_app(stale.app_id)
    others = [await world.claimed(app) for _ in range(2)]
    batch = [exchange(lease, steps={"load": b"1"}) for lease in (others[0], stale, others[1])]
    assert await world.complete(*batch) == [True, False, True]


async def test_a_step_gets_at_most_one_result_whatever_its_holder_says(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, steps={"load": b'"first"'}))
    with pytest.raises(Refused, match="journal_result"):
        await world.complete(exchange(lease, seq=2, steps={"load": b'"second"'}, ordinal=2))
    assert [row["data"] for row in await world.entries(lease.run_id)] == [b'"first"']


async def test_one_exchange_that_the_schema_refuses_refuses_its_statement_whole(world: World) -> None:
    app = await world.app()
    await world.function(app)
    good, bad = await world.claimed(app), await world.claimed(app)
    await world.complete(exchange(bad, steps={"load": b"1"}))
    with pytest.raises(Refused):
        await world.complete(exchange(good, steps={"a": b"1"}), exchange(bad, seq=2, steps={"load": b"2"}, ordinal=2))
    assert await world.entries(good.run_id) == []


async def test_an_end_removes_the_job_and_every_wait(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, sleep=lease.now + timedelta(days=1)))
    await world.complete(exchange(lease, "end", seq=2, ordinal=2, output=b'{"z": 1.50}'))
    run = await world.run(lease.run_id)
    assert (run["status"], run["activity"], run["output"]) == ("completed", None, b'{"z": 1.50}')
    assert run["ended_at"] is not None
    assert (await world.job(lease.run_id), await world.waits(lease.run_id)) == (None, [])


async def test_a_parked_run_has_a_wait_and_no_job(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "park", sleep=lease.now + timedelta(hours=1)))
    assert (await world.job(lease.run_id), await world.state(lease.run_id)) == (None, "sleeping")
    assert [wait["step"] for wait in await world.waits(lease.run_id)] == ["nap"]


async def test_a_paused_run_is_claimed_by_nobody(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "pause", activity="paused", reason="NonDeterministic"))
    assert (await world.state(lease.run_id), (await world.run(lease.run_id))["reason"]) == (
        "paused",
        "NonDeterministic",
    )
    assert await world.claim() == []


async def test_a_released_run_is_due_again_after_its_delay_and_keeps_its_refusals(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "release", activity="queued", delay=timedelta(minutes=5), refusals=3))
    job = await world.job(lease.run_id)
    assert job is not None
    assert job["owner"] is None
    assert job["refusals"] == 3
    assert job["due"] - lease.now > timedelta(minutes=4)


async def test_an_accepted_answer_forgets_lost_leases_and_refusals(world: World) -> None:
    _, current = await stale_and_current(world)
    assert current.losses == 1
    await world.complete(exchange(current, steps={"load": b"1"}))
    job = await world.job(current.run_id)
    assert job is not None
    assert (job["losses"], job["refusals"]) == (0, 0)


async def test_after_an_ambiguous_commit_an_accepted_exchange_is_found_and_not_written_again(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    answer = exchange(lease, steps={"load": b"1"})
    await world.complete(answer)
    found = await world.journal.queue.find_accepted([answer])
    assert set(found) == {lease.run_id}
    assert len(await world.entries(lease.run_id)) == 1


async def test_after_an_ambiguous_commit_that_failed_nothing_is_found_and_it_is_sent_again(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    answer = exchange(lease, steps={"load": b"1"})
    assert await world.journal.queue.find_accepted([answer]) == {}
    assert await world.complete(answer) == [True]


async def test_an_exchange_that_ended_its_run_is_found_though_its_lease_is_gone(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    answer = exchange(lease, "end")
    await world.complete(answer)
    assert set(await world.journal.queue.find_accepted([answer])) == {lease.run_id}


async def test_somebody_elses_row_at_the_same_place_is_not_taken_for_an_accepted_exchange(world: World) -> None:
    stale, current = await stale_and_current(world)
    await world.complete(exchange(current, steps={"load": b"1"}))
    assert await world.journal.queue.find_accepted([exchange(stale, steps={"load": b"1"}, ordinal=2)]) == {}
    other_number = exchange(current, seq=2, steps={"load": b"1"})
    assert await world.journal.queue.find_accepted([other_number]) == {}


async def test_a_woken_run_that_wanted_to_park_keeps_its_lease(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, sleep=lease.now))
    await world.journal.waits.resolve_due(limit=10)
    held = await world.journal.queue.complete([exchange(lease, "park", seq=2)])
    assert held[lease.run_id].woken
    job = await world.job(lease.run_id)
    assert job is not None
    assert job["token"] == lease.token


async def test_collecting_journals_what_was_resolved_and_reads_the_run_afresh(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, sleep=lease.now))
    await world.journal.waits.resolve_due(limit=10)
    found = (await world.journal.queue.collect([(lease.run_id, lease.token)]))[lease.run_id]
    assert [(entry.entry, entry.step) for entry in found.entries] == [
        (Entry.WAIT_STARTED, "nap"),
        (Entry.WAIT_COMPLETED, "nap"),
    ]
    assert list(found.waits) == []
    assert results(found.entries) == {"nap": b"null"}


async def test_collecting_under_an_old_token_answers_and_changes_nothing(world: World) -> None:
    stale, current = await stale_and_current(world)
    await world.complete(exchange(current, sleep=current.now))
    await world.journal.waits.resolve_due(limit=10)
    before = await world.entries(stale.run_id)
    assert await world.journal.queue.collect([(stale.run_id, stale.token)]) == {}
    assert await world.entries(stale.run_id) == before


async def test_the_end_of_a_backoff_leaves_no_row_in_the_journal(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    parked = exchange(lease, "park")
    parked.entries.append(NewEntry(ordinal=1, entry=Entry.ATTEMPT_FAILED, step="mail", error=b"{}", due=lease.now))
    await world.complete(parked)
    await world.sql(
        "insert into stepwell.wait (run_id, step, app_id, type, due) values (%(run)s, 'mail', %(app)s, 'retry', now())",
        run=lease.run_id,
        app=lease.app_id,
    )
    await world.journal.waits.resolve_due(limit=10)
    (again,) = await world.claim()
    assert [entry.entry for entry in again.entries] == [Entry.ATTEMPT_FAILED]
    assert await world.waits(lease.run_id) == []


async def test_hundreds_of_exchanges_are_one_commit(world: World) -> None:
    app = await world.app(max_in_flight=1000)
    await world.function(app, triggers=[{"event": {"name": "many"}}])
    await world.backlog(app, 300)
    leases = await world.claim(limit=300)
    assert all(await world.complete(*[exchange(lease, steps={"load": b"1"}) for lease in leases]))
    assert await world.value("select count(distinct xmin::text) from stepwell.journal") == 1
    assert await world.value("select count(*) from stepwell.journal") == 300


async def test_an_answer_for_a_run_that_nobody_ever_claimed_is_refused(world: World) -> None:
    app = await world.app()
    await world.function(app)
    lease = await world.claimed(app)
    strange = exchange(lease, steps={"load": b"1"})
    strange.run_id = UUID(int=99)
    assert await world.complete(strange) == [False]


async def test_one_exchange_that_the_schema_refuses_fails_alone_and_its_batch_is_taken(world: World) -> None:
    app = await world.app()
    await world.function(app)
    first, bad, last = [await world.claimed(app) for _ in range(3)]
    await world.complete(exchange(bad, steps={"load": b"1"}))
    completer = Completer(world.journal.queue, rng=random.Random(1))
    answers = [
        completer.submit(answer)
        for answer in (
            exchange(first, steps={"a": b"1"}),
            exchange(bad, seq=2, steps={"load": b"2"}, ordinal=2),
            exchange(last, steps={"a": b"1"}),
        )
    ]
    await completer.drain()
    assert [answer.exception() is None for answer in answers] == [True, False, True]
    assert isinstance(answers[1].exception(), Refused)
    for lease in (first, last):
        assert await world.told(lease.run_id) == [("step_completed", "a")]
