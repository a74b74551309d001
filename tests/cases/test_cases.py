"""Every small function in every way a handler can be called: checkpointing, a call per round, version 1, always replayed.

The result is the same each way, and so is what the steps did: nothing twice, nothing left out.
"""

from collections.abc import Iterator

import pytest

from cases import shop
from cases.shop import DID, Order, Reservation
from stepwell import StepFailed
from stepwell.testing import Sandbox, TrialFailed, TrialWaits
from stepwell.testing.sandbox import Mode

ORDER = Order(id="o1", cents=100)
WAYS: list[tuple[Mode, bool]] = [
    ("checkpointing", False),
    ("checkpointing", True),
    ("call-per-round", False),
    ("call-per-round", True),
    ("version-1", False),
    ("version-1", True),
]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}{'-replayed' if way[1] else ''}")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    DID.clear()
    mode, always_replay = request.param
    yield Sandbox(shop.app, mode=mode, always_replay=always_replay)
    DID.clear()


async def test_results_come_back_in_the_type_they_were_annotated_with(sandbox: Sandbox) -> None:
    (run,) = await sandbox.send("order.placed", ORDER)
    assert await run.result() == "c-o1 2026 2.5 up"
    assert DID == ["charge o1", "pack"]
    assert list(run.steps) == ["charge", "pack"]


async def test_a_handler_without_steps_runs(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.no_steps, ORDER)
    assert await run.result() == Order(id="o1", cents=101)


async def test_a_name_used_again_is_numbered(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.one_name_in_a_loop)
    assert await run.result() == ["N0", "N1", "N2", "N3"]
    assert list(run.steps) == ["note", "note#2", "note#3", "note#4"]
    assert DID == ["n0", "n1", "n2", "n3"]


async def test_sleeps_end_in_their_own_time(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.naps)
    assert run.sleeping_until is not None
    began = sandbox.now
    assert (run.sleeping_until - began).total_seconds() == 90
    assert await run.result() == 1
    assert (sandbox.now.year, sandbox.now.month) == (2027, 1)
    assert DID == ["before", "after"]


async def test_the_matching_event_ends_a_wait(sandbox: Sandbox) -> None:
    (run,) = await sandbox.send("order.big", ORDER)
    assert run.waiting_for == "approval.received"
    await sandbox.send("approval.received", {"order_id": "other", "by": "eve"})
    assert run.status == "active"
    await sandbox.send("approval.received", {"order_id": "o1", "by": "ann"})
    assert run.output == "ann"


async def test_a_wait_without_event_ends_in_none(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.approval, ORDER)
    await sandbox.advance("6d")
    assert run.status == "active"
    assert await run.result() == "nobody"
    assert DID == ["refund"]


async def test_a_failing_step_is_tried_again_under_the_same_key(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.flaky)
    assert await run.result() == f"{run.id}/call"
    assert run.steps["call"].attempts == 3
    if sandbox._mode == "version-1":
        assert DID == ["attempt 1"] * 3, "version 1 of the wire does not carry the number of the attempt"
    else:
        assert DID == ["attempt 1", "attempt 2", "attempt 3"]


async def test_a_step_that_failed_for_good_can_be_caught(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.gives_up)
    if sandbox._mode == "version-1":
        with pytest.raises(TrialFailed, match="card declined"):
            await run.result()
    else:
        assert await run.result() == "CHARGE: VALUEERROR: CARD DECLINED"
    assert DID[:2] == ["declined", "declined"]


async def test_an_error_not_worth_another_attempt_gets_none(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.not_worth_it)
    with pytest.raises(TrialFailed, match="no such customer"):
        await run.result()
    assert DID == ["hopeless"]


async def test_branches_run_side_by_side(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.side_by_side)
    assert await run.result() == ("ONE", 1.0, {"a": "A", "b": "B"})
    assert sorted(DID) == ["a", "b", "one", "pack"]


async def test_branches_of_several_steps_run_side_by_side(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.branches_of_steps)
    assert await run.result() == ["X-2", "Y-2", "Z-2"]
    assert sorted(DID) == ["x-1", "x-2", "y-1", "y-2", "z-1", "z-2"]


async def test_a_failing_branch_lets_the_others_end(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.one_branch_fails)
    if sandbox._mode == "version-1":
        with pytest.raises(TrialFailed, match="disk full"):
            await run.result()
        return
    assert await run.result() == "disk full"
    assert sorted(DID) == ["broken", "broken", "good"]


async def test_an_event_is_sent_once(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.tells_others)
    assert await run.result() == "sent"
    assert [event.name for event in sandbox.events] == ["work.done"]
    assert DID == ["work", "heard work.done"]


async def test_a_plain_function_does_all_of_it_too(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.plain, ORDER)
    assert await run.result() == "c-o1 Main ONE TWO"
    assert DID == ["charge o1", "one", "two"]


async def test_a_plain_function_waits_for_events(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.plain_waits)
    await sandbox.send("go")
    assert run.output == "go"
    assert await (await sandbox.start(shop.plain_waits)).result() is None


async def test_catching_everything_does_not_swallow_the_end_of_a_call(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.wraps_steps_in_try)
    assert await run.result() == "finally"
    assert DID == ["one", "two"]


async def test_task_groups_work(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.groups)
    assert await run.result() == ["P", "Q"]
    assert sorted(DID) == ["p", "q"]


async def test_retry_after_is_heeded(sandbox: Sandbox) -> None:
    if sandbox._mode == "version-1":
        pytest.skip("version 1 of the wire carries neither the delay nor the attempt")
    run = await sandbox.start(shop.later)
    began = sandbox.now
    assert await run.result() == 1.5
    assert (sandbox.now - began).total_seconds() == 300


async def test_a_workflow_calls_step_handlers(sandbox: Sandbox) -> None:
    if sandbox._mode == "version-1":
        pytest.skip("workflows came with version 2 of the wire")
    found = await sandbox.call_step("reserve-stock", Reservation(sku="s", count=1), attempt=2)
    assert found["key"].endswith("/reserve-stock")
    assert found["attempt"] == "2"
    assert await sandbox.call_step("release-stock", {"sku": "s", "count": 3}) == 3
    with pytest.raises(StepFailed, match="nothing to release"):
        await sandbox.call_step("release-stock", {"sku": "s", "count": -1})
    with pytest.raises(StepFailed, match="count"):
        await sandbox.call_step("release-stock", {"sku": "s"})


async def test_a_wait_that_nothing_ends_is_said_so(sandbox: Sandbox) -> None:
    run = await sandbox.start(shop.approval, ORDER)
    run._journal.waits["approve"] = type(run._journal.waits["approve"])("wait", None, "approval.received")
    with pytest.raises(TrialWaits, match="send the event first"):
        await run.result()
