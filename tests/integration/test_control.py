"""What people and clocks do to runs from outside: cancel, resume, rerun, expire; and what age takes away."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from integration.world import World, exchange, on, results
from stepwell_engine.errors import Conflict, IllegalTransition, NotFound
from stepwell_engine.journal.queue import Lease
from stepwell_engine.model import App, Kind

FLOW = [{"name": "reserve", "call": {"handler": "reserve"}, "compensate": {"call": {"handler": "release"}}}]


@pytest.fixture
async def app(world: World) -> App:
    app = await world.app()
    await world.function(app)
    return app


async def workflow_with_a_result(world: World, app: App) -> Lease:
    """A workflow run that is leased and has one step completed."""
    await world.workflow(app, steps=FLOW)
    lease = await world.claimed(app, "flow", kind=Kind.WORKFLOW)
    await world.complete(exchange(lease, steps={"reserve": b"1"}))
    return lease


# Cancel


async def test_a_cancelled_run_leaves_nothing_that_could_go_on(world: World, app: App) -> None:
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "park", sleep=await world.now() + timedelta(hours=1), wait="approved"))
    assert await world.journal.control.cancel(lease.run_id) == "cancelled"
    run = await world.run(lease.run_id)
    assert (run["status"], run["reason"]) == ("cancelled", "Cancelled")
    assert (await world.job(lease.run_id), await world.waits(lease.run_id)) == (None, [])
    assert (await world.told(lease.run_id))[-1] == ("run_cancelled", None)


async def test_an_answer_that_comes_after_the_cancel_is_refused(world: World, app: App) -> None:
    lease = await world.claimed(app)
    await world.journal.control.cancel(lease.run_id)
    assert await world.complete(exchange(lease, "end", output=b'"late"')) == [False]
    assert (await world.run(lease.run_id))["output"] is None
    assert await world.journal.queue.renew([(lease.run_id, lease.token)], lease=timedelta(seconds=30)) == {}


async def test_a_run_that_was_not_claimed_yet_is_cancelled_too(world: World, app: App) -> None:
    run_id = await world.start(app)
    await world.journal.control.cancel(run_id)
    assert (await world.claim(), await world.state(run_id)) == ([], "cancelled")


async def test_an_ended_run_can_not_be_cancelled_and_says_so(world: World, app: App) -> None:
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "end"))
    with pytest.raises(IllegalTransition, match=f"run {lease.run_id} is completed"):
        await world.journal.control.cancel(lease.run_id)


async def test_a_run_that_is_not_there_can_not_be_cancelled(world: World) -> None:
    with pytest.raises(NotFound, match="may have been removed by retention"):
        await world.journal.control.cancel(uuid4())


async def test_a_workflow_with_completed_steps_is_asked_to_undo_them(world: World, app: App) -> None:
    lease = await workflow_with_a_result(world, app)
    assert await world.journal.control.cancel(lease.run_id) == "compensating"
    held = await world.journal.queue.complete([exchange(lease, "park", seq=2, ordinal=2)])
    assert held[lease.run_id].woken
    found = (await world.journal.queue.collect([(lease.run_id, lease.token)]))[lease.run_id]
    assert found.cancel_requested


async def test_a_waiting_workflow_is_woken_to_undo_its_steps(world: World, app: App) -> None:
    lease = await workflow_with_a_result(world, app)
    await world.complete(exchange(lease, "park", seq=2, ordinal=2, wait="approved"))
    await world.journal.control.cancel(lease.run_id)
    (again,) = await world.claim()
    assert (again.run_id, again.cancel_requested) == (lease.run_id, True)


async def test_force_ends_a_workflow_without_undoing(world: World, app: App) -> None:
    lease = await workflow_with_a_result(world, app)
    assert await world.journal.control.cancel(lease.run_id, force=True) == "cancelled"
    assert (await world.job(lease.run_id), await world.state(lease.run_id)) == (None, "cancelled")


async def test_a_workflow_that_has_done_nothing_is_cancelled_at_once(world: World, app: App) -> None:
    await world.workflow(app, steps=FLOW)
    lease = await world.claimed(app, "flow", kind=Kind.WORKFLOW)
    assert await world.journal.control.cancel(lease.run_id) == "cancelled"


# Resume


async def paused(world: World, app: App) -> UUID:
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "pause", activity="paused", reason="NonDeterministic", steps={"a": b"1"}))
    return lease.run_id


async def test_a_resumed_run_goes_on_with_its_journal(world: World, app: App) -> None:
    run_id = await paused(world, app)
    await world.journal.control.resume(run_id)
    (again,) = await world.claim()
    assert results(again.entries) == {"a": b"1"}
    assert (await world.run(run_id))["reason"] is None
    assert (await world.told(run_id))[-1] == ("run_resumed", None)


async def test_only_a_paused_run_is_resumed(world: World, app: App) -> None:
    run_id = await world.start(app)
    with pytest.raises(IllegalTransition, match=f"run {run_id} is queued: 'resumed' can't happen to it"):
        await world.journal.control.resume(run_id)


async def test_a_run_that_was_resumed_twice_at_once_goes_on_once(world: World, app: App) -> None:
    run_id = await paused(world, app)
    await world.journal.control.resume(run_id)
    with pytest.raises(Conflict):
        await world.journal.control.resume(run_id)
    assert len(await world.claim()) == 1


# Rerun


async def test_a_rerun_is_a_new_run_and_leaves_the_old_one_as_it_was(world: World, app: App) -> None:
    lease = await world.claimed(app, input={"n": 1}, labels={"tenant": "a"}, idempotency_key="k")
    await world.complete(exchange(lease, "end", steps={"a": b"1"}))
    before = (await world.run(lease.run_id), await world.entries(lease.run_id))
    new_id = await world.journal.control.rerun(lease.run_id)
    assert (await world.run(lease.run_id), await world.entries(lease.run_id)) == before
    new = await world.run(new_id)
    assert (new["rerun_of"], new["trigger"], new["status"]) == (lease.run_id, "rerun", "active")
    assert (new["input"], new["labels"], new["event_ref"]) == (b'{"n":1}', {"tenant": "a"}, before[0]["event_ref"])
    (claimed,) = await world.claim()
    assert (claimed.run_id, claimed.entries) == (new_id, ())


async def test_a_rerun_uses_the_active_revision(world: World, app: App) -> None:
    lease = await world.claimed(app)
    await world.function(app, priority=9)
    new = await world.run(await world.journal.control.rerun(lease.run_id))
    assert (new["revision"], new["priority"]) == (2, 9)


async def test_a_run_of_a_retired_definition_can_not_be_rerun(world: World, app: App) -> None:
    lease = await world.claimed(app)
    await world.journal.definitions.remove_definition(app.id, kind=Kind.FUNCTION, name="work")
    with pytest.raises(Conflict, match="no longer declared"):
        await world.journal.control.rerun(lease.run_id)


# Expire


async def test_a_run_over_its_time_fails_and_its_late_answer_is_refused(world: World, app: App) -> None:
    await world.function(app, "short", timeouts={"run": "1h"})
    lease = await world.claimed(app, "short")
    assert lease.deadline is not None
    assert await world.journal.control.expire() == 0
    await world.sql("update stepwell.run set deadline = now() - interval '1 s'")
    assert await world.journal.control.expire() == 1
    run = await world.run(lease.run_id)
    assert (run["status"], run["reason"]) == ("failed", "TimedOut")
    assert b"timeouts.run" in run["error"]
    assert await world.complete(exchange(lease, "end")) == [False]
    assert await world.journal.control.expire() == 0


async def test_a_sleeping_run_over_its_time_fails_and_is_never_woken(world: World, app: App) -> None:
    await world.function(app, "short", timeouts={"run": "1h"})
    lease = await world.claimed(app, "short")
    await world.complete(exchange(lease, "park", sleep=await world.now()))
    await world.sql("update stepwell.run set deadline = now() - interval '1 s'")
    await world.journal.control.expire()
    assert (await world.journal.waits.resolve_due(limit=10)).count == 0
    assert (await world.claim(), await world.state(lease.run_id)) == ([], "failed")


async def test_a_workflow_over_its_time_undoes_its_steps_first(world: World, app: App) -> None:
    lease = await workflow_with_a_result(world, app)
    await world.complete(exchange(lease, "park", seq=2, ordinal=2, wait="approved"))
    await world.sql("update stepwell.run set deadline = now() - interval '1 s'")
    assert await world.journal.control.expire() == 1
    (again,) = await world.claim()
    assert again.cancel_requested
    assert await world.journal.control.expire() == 0


async def test_a_run_that_nobody_began_in_time_fails_and_one_that_was_begun_does_not(world: World, app: App) -> None:
    await world.function(app, "prompt", timeouts={"start": "1h"})
    begun = await world.claimed(app, "prompt")
    waiting = await world.start(app, "prompt")
    assert await world.journal.control.expire() == 0
    await world.sql("update stepwell.run set start_by = now() - interval '1 s'")
    await world.journal.control.expire()
    assert [await world.state(run_id) for run_id in (begun.run_id, waiting)] == ["executing", "failed"]
    assert b"timeouts.start" in (await world.run(waiting))["error"]
    assert await world.claim() == []


async def test_a_run_without_a_timeout_never_expires(world: World, app: App) -> None:
    await world.claimed(app)
    assert await world.value("select count(*) from stepwell.run where deadline is not null") == 0


# Retention


async def ended(world: World, app: App, *, status: str, days: float) -> UUID:
    lease = await world.claimed(app)
    more: dict[str, Any] = {} if status == "completed" else {"status": status, "output": None, "error": b"{}"}
    await world.complete(exchange(lease, "end", steps={"a": b"1"}, **more))
    await world.sql(
        "update stepwell.run set ended_at = now() - %(age)s where id = %(id)s",
        age=timedelta(days=days),
        id=lease.run_id,
    )
    return lease.run_id


@pytest.mark.parametrize(
    ("status", "days", "kept"),
    [("completed", 6, True), ("completed", 8, False), ("failed", 8, True), ("failed", 31, False)],
)
async def test_an_ended_run_goes_with_its_journal_when_its_age_passes_its_apps_retention(
    world: World, status: str, days: int, kept: bool
) -> None:
    app = await world.app(retention_completed=timedelta(days=7), retention_failed=timedelta(days=30))
    await world.function(app)
    await ended(world, app, status=status, days=days)
    removed = await world.journal.retention.prune()
    for table in ("run", "journal"):
        assert (await world.value(f"select count(*) > 0 from stepwell.{table}")) is kept
    assert (removed == 0) is kept


async def test_a_cancelled_run_is_kept_as_long_as_a_failed_one(world: World) -> None:
    app = await world.app(retention_completed=timedelta(days=7), retention_failed=timedelta(days=30))
    await world.function(app)
    run_id = await world.start(app)
    await world.journal.control.cancel(run_id)
    await world.sql("update stepwell.run set ended_at = now() - interval '8 days'")
    assert await world.journal.retention.prune() == 0
    await world.sql("update stepwell.run set ended_at = now() - interval '31 days'")
    assert await world.journal.retention.prune() == 1


async def test_an_active_run_is_never_removed_however_old(world: World) -> None:
    app = await world.app(retention_completed=timedelta(seconds=1), retention_failed=timedelta(seconds=1))
    await world.function(app)
    lease = await world.claimed(app)
    await world.complete(exchange(lease, "park", steps={"a": b"1"}, wait="approved"))
    await world.sql("update stepwell.run set created_at = now() - interval '10 years', started_at = created_at")
    await world.journal.retention.prune()
    assert await world.state(lease.run_id) == "waiting"
    assert len(await world.entries(lease.run_id)) == 2
    assert len(await world.waits(lease.run_id)) == 1


async def test_events_and_keys_go_when_their_time_is_over(world: World) -> None:
    app = await world.app(retention_completed=timedelta(days=7), retention_failed=timedelta(days=30))
    await world.function(app, triggers=on("other"))
    await world.send(app, ("go", None), id="e-1")
    await world.start(app, idempotency_key="k")
    await world.journal.waits.route(limit=10)
    assert await world.journal.retention.prune() == 0
    await world.sql("update stepwell.event set accepted_at = now() - interval '31 days'")
    for table in ("event_key", "idempotency_key"):
        await world.sql(f"update stepwell.{table} set expires_at = now() - interval '1 s'")
    assert await world.journal.retention.prune() == 3


async def test_an_event_that_was_not_routed_yet_is_kept_whatever_its_age(world: World) -> None:
    app = await world.app(retention_completed=timedelta(seconds=1), retention_failed=timedelta(seconds=1))
    await world.function(app)
    await world.complete(exchange(await world.claimed(app), "park", wait="go"))
    await world.send(app, ("go", None))
    await world.sql("update stepwell.event set accepted_at = now() - interval '1 day'")
    assert await world.journal.retention.prune() == 0
