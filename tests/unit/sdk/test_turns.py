"""How calls go on and end: what runs, what is reported, how often the app is called."""

import asyncio
import logging
import threading
from typing import Any

import pytest
from pydantic import JsonValue

from stepwell import App, Step, SyncStep, current_step
from stepwell.testing import Sandbox
from stepwell.testing.sandbox import Mode


def make() -> App:
    return App("turns", signing_key="key", app_id="app")


async def echo(value: int) -> int:
    return value


@pytest.mark.parametrize(("mode", "calls"), [("checkpointing", 1), ("call-per-round", 4), ("version-1", 4)])
async def test_checkpointing_goes_on_in_one_call(mode: Mode, calls: int) -> None:
    app = make()

    @app.function()
    async def three(step: Step) -> int:
        return sum([await step.run(f"s{number}", echo, number) for number in range(3)])

    run = await Sandbox(app, mode=mode).start(three)
    assert (run.output, run.calls) == (3, calls)


@pytest.mark.parametrize(("mode", "calls"), [("checkpointing", 1), ("call-per-round", 2), ("version-1", 9)])
async def test_branches_are_reported_together(mode: Mode, calls: int) -> None:
    app = make()

    @app.function()
    async def wide(step: Step) -> int:
        return sum(await step.parallel(*(step.run.later(f"s{number}", echo, number) for number in range(8))))

    run = await Sandbox(app, mode=mode).start(wide)
    assert (run.output, run.calls) == (28, calls)


async def test_branches_overlap() -> None:
    app = make()
    meeting = asyncio.Barrier(3)

    @app.function()
    async def meet(step: Step) -> int:
        await step.parallel(*(step.run.later(f"s{number}", meeting.wait) for number in range(3)))
        return 1

    async with asyncio.timeout(5):
        run = await Sandbox(app).start(meet)
    assert run.output == 1


async def test_a_branch_that_awaits_outside_of_steps_comes_to_its_end() -> None:
    app = make()
    gate = asyncio.Event()

    @app.function()
    async def mixed(step: Step) -> list[int]:
        async def outside() -> int:
            await gate.wait()
            return await step.run("after", echo, 2)

        async def inside() -> int:
            asyncio.get_running_loop().call_later(0.05, gate.set)
            await step.sleep("nap", "1h")
            return 1

        return list(await asyncio.gather(inside(), outside()))

    run = await Sandbox(app, mode="call-per-round").start(mixed)
    assert await run.result() == [1, 2]


async def test_branches_that_all_wait_end_the_call_at_once() -> None:
    app = make()

    @app.function()
    async def naps(step: Step) -> int:
        async def nap(name: str) -> None:
            await asyncio.gather(step.sleep(f"{name}-a", "1s"), asyncio.ensure_future(step.sleep(f"{name}-b", "1s")))

        await step.parallel(nap("x"), nap("y"), step.sleep("z", "1s"))
        return 1

    async with asyncio.timeout(0.4):
        assert await (await Sandbox(app).start(naps)).result() == 1


async def test_what_is_handed_on_live_is_what_a_replay_gives() -> None:
    app = make()
    seen: list[Any] = []

    @app.function()
    async def pair(step: Step) -> None:
        seen.append(await step.run("pair", lambda: {"p": (1, 2), 3: "x"}))
        await step.sleep("nap", "1s")

    run = await Sandbox(app).start(pair)
    await run.result()
    assert seen == [{"p": [1, 2], "3": "x"}] * 2


async def test_a_plain_step_runs_in_a_thread_of_its_own_and_an_async_one_in_the_loop() -> None:
    app = make()
    threads: dict[str, int] = {}

    @app.function()
    async def where(step: Step) -> None:
        async def in_loop() -> None:
            threads["async"] = threading.get_ident()

        def in_thread() -> None:
            threads["plain"] = threading.get_ident()
            assert current_step().id == "plain"

        await step.run("async", in_loop)
        await step.run("plain", in_thread)

    await Sandbox(app).start(where)
    assert threads["async"] == threading.get_ident() != threads["plain"]


async def test_a_plain_handlers_steps_run_in_its_own_thread() -> None:
    app = make()
    threads: list[int] = []

    @app.function()
    def where(step: SyncStep) -> None:
        threads.append(threading.get_ident())
        step.run("a", lambda: threads.append(threading.get_ident()))
        step.parallel(step.run.later("b", lambda: threads.append(threading.get_ident())))

    await Sandbox(app).start(where)
    assert len(threads) == 3
    assert set(threads) == {threads[0]} != {threading.get_ident()}


async def test_the_logger_is_silent_on_old_ground(caplog: pytest.LogCaptureFixture) -> None:
    app = make()

    @app.function()
    async def talks(step: Step) -> None:
        step.logger.warning("at the start")
        await step.run("a", echo, 1)
        step.logger.warning("after a")
        await step.sleep("nap", "1s")
        step.logger.warning("after the nap")

    run = await Sandbox(app, mode="call-per-round").start(talks)
    await run.result()
    assert [record.message for record in caplog.records] == ["at the start", "after a", "after the nap"]
    assert caplog.records[0].__dict__["run_id"] == run.id


async def test_what_a_handler_can_know_of_its_run() -> None:
    app = make()
    known: dict[str, Any] = {}

    @app.function()
    async def asks(step: Step, given: dict[str, int]) -> JsonValue:
        async def look() -> None:
            known.update(key=step.idempotency_key, attempt=step.attempt, same=current_step().idempotency_key)

        await step.run("look", look)
        await step.run("look", look)
        return step.event.data

    run = await Sandbox(app).start(asks, {"a": 1})
    assert run.output == {"a": 1}
    assert known == {"key": f"{run.id}/look#2", "attempt": 1, "same": f"{run.id}/look#2"}


async def test_fakes_replace_the_code_of_steps() -> None:
    app = make()

    @app.function(max_attempts=1)
    async def two(step: Step) -> int:
        return await step.run("a", echo, 1) + await step.run("b", echo, 2)

    sandbox = Sandbox(app)
    sandbox.fake("a", returns=10)
    sandbox.fake("b", calls=lambda value: value * 10)
    assert (await sandbox.start(two)).output == 30
    sandbox.fake("b", raises=ConnectionError("down"))
    failed = await sandbox.start(two)
    assert failed.error is not None
    assert (failed.status, failed.error.name) == ("failed", "ConnectionError")


async def test_an_errors_stack_is_the_users_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="stepwell")
    app = make()

    def breaks() -> None:
        raise KeyError("here")

    @app.function(max_attempts=1)
    async def handler(step: Step) -> None:
        await step.run("breaks", breaks)

    run = await Sandbox(app, mode="call-per-round").start(handler)
    error = run.steps["breaks"].error
    assert error is not None
    assert error.stack is not None
    assert "in breaks" in error.stack
    assert "stepwell/later.py" not in error.stack
    assert (error.name, error.message) == ("KeyError", "'here'")
