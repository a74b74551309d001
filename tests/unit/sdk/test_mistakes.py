"""Mistakes are caught where they are made: each error names the line and the fix, and fails the run without another attempt."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from pydantic import BaseModel

from stepwell import App, Function, Mistake, Step, SyncStep, current_step
from stepwell.testing import Sandbox, TrialFailed
from stepwell.testing.sandbox import Mode

Body = Callable[[Step], Awaitable[Any]]

WAYS: list[Mode] = ["checkpointing", "call-per-round", "version-1"]
EVERY_WAY = pytest.mark.parametrize("mode", WAYS)


async def one() -> int:
    return 1


def durable(body: Body, **options: Any) -> tuple[App, Function[Any, Any]]:
    app = App("mistakes", signing_key="key", app_id="app")

    @app.function("f", **options)
    async def handler(step: Step) -> Any:
        return await body(step)

    return app, handler


async def failure_of(body: Body, mode: Mode = "checkpointing") -> str:
    app, function = durable(body)
    run = await Sandbox(app, mode=mode).start(function)
    assert run.status in ("failed", "paused"), run
    assert run.error is not None
    assert not run.error.retryable
    return run.error.message


@EVERY_WAY
async def test_one_name_in_two_branches_is_refused(mode: Mode) -> None:
    async def body(step: Step) -> Any:
        return await asyncio.gather(step.run("twin", one), step.run("twin", one))

    message = await failure_of(body, mode)
    assert "two steps named 'twin' run at the same time" in message
    assert f"{__file__}:" in message
    assert "give each branch its own name" in message


@EVERY_WAY
async def test_a_step_inside_a_step_is_refused(mode: Mode) -> None:
    async def body(step: Step) -> Any:
        async def outer() -> int:
            return await step.run("inner", one)

        return await step.run("outer", outer)

    message = await failure_of(body, mode)
    assert "a step was started inside step 'outer'" in message
    assert f"{__file__}:" in message


async def test_a_step_inside_a_step_of_a_plain_handler_is_refused() -> None:
    app = App("mistakes", signing_key="key", app_id="app")

    @app.function()
    def handler(step: SyncStep) -> int:
        return step.run("outer", lambda: step.run("inner", one))

    run = await Sandbox(app).start(handler)
    with pytest.raises(TrialFailed, match="a step was started inside step 'outer'"):
        await run.result()


@EVERY_WAY
async def test_a_step_that_is_not_awaited_is_refused(mode: Mode) -> None:
    async def body(step: Step) -> Any:
        step.run("forgotten", one)  # type: ignore[unused-awaitable]
        return 1

    message = await failure_of(body, mode)
    assert "never awaited: write `await` in front of it" in message
    assert f"{__file__}:" in message


async def test_a_step_awaited_twice_is_refused() -> None:
    async def body(step: Step) -> Any:
        later = step.run("twice", one)
        return await later + await later

    assert "is awaited twice: keep its result in a variable" in await failure_of(body)


async def test_a_task_that_is_left_running_is_refused() -> None:
    async def slow() -> None:
        await asyncio.sleep(60)

    async def body(step: Step) -> Any:
        task = asyncio.ensure_future(step.run("slow", slow))
        await asyncio.sleep(0)
        return str(task.done())

    assert "returned while 'slow' had not ended: await every task" in await failure_of(body)


@EVERY_WAY
@pytest.mark.parametrize(
    ("result", "reason"),
    [(object(), "is not JSON"), ({1: {2: object()}}, "is not JSON"), (float("nan"), "is not JSON"), ("\0", "U+0000")],
    ids=["object", "nested", "nan", "nul"],
)
async def test_a_result_that_is_not_json_is_refused(mode: Mode, result: object, reason: str) -> None:
    async def body(step: Step) -> Any:
        return await step.run("odd", lambda: result)

    message = await failure_of(body, mode)
    assert "the result of step 'odd'" in message
    assert reason in message
    assert "return JSON types or a pydantic model" in message


class Paid(BaseModel):
    cents: int


async def test_a_result_of_another_type_than_annotated_is_refused() -> None:
    def pay() -> Paid:
        return {"cents": 5}  # type: ignore[return-value]

    async def body(step: Step) -> Any:
        return await step.run("pay", pay)

    message = await failure_of(body)
    assert "Paid" in message
    assert "step 'pay'" in message


async def test_a_type_that_json_cannot_bring_back_is_refused() -> None:
    class Socket:
        pass

    def connect() -> Socket:
        return Socket()

    async def body(step: Step) -> Any:
        return await step.run("connect", connect)

    assert "Socket cannot be kept as JSON" in await failure_of(body)


async def test_a_result_over_the_limit_is_refused() -> None:
    async def body(step: Step) -> Any:
        return await step.run("big", lambda: "x" * 4 * 1024 * 1024)

    assert "the result of step 'big' is 4,194,306 bytes; the limit is 4 MiB" in await failure_of(body)


async def test_an_output_that_is_not_json_is_refused() -> None:
    async def body(step: Step) -> Any:
        return object()

    assert "what 'f' returned" in await failure_of(body)


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (lambda step: step.sleep("nap", "soon"), 'such as "250ms", "90s" or "1h30m"'),
        (lambda step: step.sleep("nap", -1), "is negative"),
        (lambda step: step.sleep_until("nap", datetime(2026, 1, 1)), "no time zone"),  # noqa: DTZ001
        (lambda step: step.sleep_until("nap", "tomorrow"), "RFC 3339"),
        (lambda step: step.wait_for_event("w", "e", timeout="never"), "is not a duration"),
        (lambda step: step.wait_for_event("w", "e", match={"a": object()}), "match is not JSON"),
        (lambda step: step.send_event("s", "e", object()), "the event is not JSON"),
        (lambda step: step.send_event("s", "e", "x" * 524_288), "the limit is 512 KiB"),
        (lambda step: step.run("", one), "1 to 248 characters"),
        (lambda step: step.run("a#2", one), "no '#'"),
        (lambda step: step.run("$run", one), "no '$' in front"),
    ],
)
async def test_an_argument_that_cannot_be_is_refused_with_the_line(use: Any, reason: str) -> None:
    async def body(step: Step) -> Any:
        return await use(step)

    message = await failure_of(body)
    assert reason in message
    assert f"{__file__}:" in message


async def test_a_mistake_fails_the_run_even_when_it_is_caught() -> None:
    async def body(step: Step) -> Any:
        try:
            await step.sleep("nap", "soon")
        except Exception:  # noqa: BLE001 - what users write
            return "fine"

    assert "is not a duration" in await failure_of(body)


async def test_a_handler_that_leaves_a_journaled_step_out_is_paused() -> None:
    plan = ["a", "b"]

    async def body(step: Step) -> Any:
        for name in plan:
            await step.run(name, one)
        await step.sleep("nap", "1s")
        return 1

    app, function = durable(body)
    run = await Sandbox(app).start(function)
    plan.remove("a")
    with pytest.raises(TrialFailed, match="did not reach 'a', which an earlier call completed"):
        await run.result()
    assert run.status == "paused"
    assert run.error is not None
    assert run.error.name == "NonDeterministic"


async def test_a_step_that_became_another_kind_is_paused() -> None:
    kinds = ["run"]

    async def body(step: Step) -> Any:
        if kinds[0] == "run":
            await step.run("x", one)
        else:
            await step.sleep("x", "1s")
        await step.sleep("nap", "1s")

    app, function = durable(body)
    run = await Sandbox(app).start(function)
    kinds[0] = "sleep"
    with pytest.raises(TrialFailed, match="step 'x' was journaled as 'run' and is now 'sleep'"):
        await run.result()
    assert run.status == "paused"


async def test_a_journaled_result_that_no_longer_fits_its_type_is_said_so() -> None:
    results: list[Any] = [lambda: {"cents": "many"}]

    async def body(step: Step) -> Any:
        await step.run("pay", results[0])
        await step.sleep("nap", "1s")

    def pay() -> Paid:
        return Paid(cents=5)

    app, function = durable(body)
    run = await Sandbox(app).start(function)
    results[0] = pay
    with pytest.raises(TrialFailed, match="runs under way still hold results of the earlier type"):
        await run.result()


async def test_current_step_outside_a_step_is_refused() -> None:
    with pytest.raises(Mistake, match="call it in the function given to"):
        current_step()


async def test_the_idempotency_key_outside_a_step_is_refused() -> None:
    async def body(step: Step) -> Any:
        return step.idempotency_key

    assert "use step.idempotency_key_of('name')" in await failure_of(body)


def test_two_functions_of_one_name_are_refused_with_both_lines() -> None:
    app = App("mistakes")
    app.function("f")(lambda step: 1)
    with pytest.raises(Mistake, match=r"the function 'f' exists already, at .*test_mistakes.py:\d+: rename one"):
        app.function("f")(lambda step: 2)


def test_a_handler_takes_step_and_at_most_one_input() -> None:
    app = App("mistakes")
    with pytest.raises(Mistake, match="takes `step` first and, if it wants it, its input second"):

        @app.function()  # type: ignore[arg-type]
        async def handler(step: Step, a: int, b: int) -> None: ...


def test_an_annotation_that_cannot_be_resolved_is_said_so_when_definitions_are_made() -> None:
    app = App("mistakes")

    @app.function()
    async def handler(step: Step, order: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(Mistake, match=r"'Nowhere' is not defined.*not only under TYPE_CHECKING"):
        app.definitions()
