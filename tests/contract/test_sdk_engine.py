"""SDK and engine, meeting on the wire only: a real engine process on a real Postgres, an app on a real port.

Each test has an app of its own; all of them share one engine, once with checkpointing and once without.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel

from contract.serving import serving, until
from harness.database import _database as database
from harness.engine import EngineProcess
from harness.postgres import Server
from stepwell import (
    App,
    Backoff,
    Client,
    Event,
    NewEvent,
    NonRetryable,
    RequestRefused,
    Step,
    StepFailed,
    SyncClient,
    SyncStep,
    current_step,
)
from stepwell.stream import Stream

DID: list[str] = []
"""What steps have done, in order."""

_numbers = itertools.count(1)


class Order(BaseModel):
    id: str
    cents: int


class Charge(BaseModel):
    id: str
    key: str


async def charge(order: Order) -> Charge:
    DID.append(f"charge {order.id}")
    return Charge(id=f"c-{order.id}", key=current_step().idempotency_key)


async def note(text: str) -> str:
    DID.append(text)
    return text.upper()


def declare_shop(app: App) -> None:
    @app.function(on=Event("order.placed"))
    async def fulfil(step: Step, order: Order) -> dict[str, str]:
        paid = await step.run("charge", charge, order)
        mail, text = await step.parallel(step.run.later("mail", note, "mail"), step.run.later("text", note, "text"))
        await step.sleep("nap", "50ms")
        approval = await step.wait_for_event("approve", "approval.received", match={"id": order.id}, timeout="30s")
        await step.send_event("tell", "order.fulfilled", {"id": order.id})
        by = approval.data["by"] if approval and isinstance(approval.data, dict) else None
        return {"charge": paid.id, "key": paid.key, "mail": mail, "text": text, "by": str(by)}

    @app.function(on=Event("order.fulfilled"))
    def follow_up(step: SyncStep) -> str:
        return step.run("note", note, f"follow up {step.event.data}")

    @app.function()
    async def branches(step: Step) -> list[str]:
        async def branch(name: str) -> str:
            await step.run(f"{name}-1", note, f"{name}-1")
            if name == "y":
                await step.sleep("nap", "50ms")
            return await step.run(f"{name}-2", note, f"{name}-2")

        return list(await asyncio.gather(branch("x"), branch("y"), branch("z")))

    @app.function()
    async def times_out(step: Step) -> str:
        return str(await step.wait_for_event("wait", "never.sent", timeout="50ms"))

    @app.function(max_attempts=1)
    async def slow_start(step: Step) -> int:
        await asyncio.sleep(5.2)
        return await step.run("one", _one, 1)

    @app.function()
    async def many(step: Step, count: int) -> int:
        return sum([await step.run("one", _one, number) for number in range(count)])


def declare_trouble(app: App) -> None:
    @app.function(max_attempts=3, backoff=Backoff("10ms"))
    async def flaky(step: Step) -> int:
        def third_time_lucky() -> int:
            DID.append("try")
            if current_step().attempt < 3:
                raise ConnectionError("busy")
            return current_step().attempt

        return await step.run("try", third_time_lucky)

    @app.function(max_attempts=2, backoff=Backoff("10ms"))
    async def gives_up(step: Step) -> str:
        def declined() -> None:
            DID.append("declined")
            raise ValueError("card declined")

        try:
            await step.run("charge", declined)
        except StepFailed as failure:
            return await step.run("tell", note, failure.message)
        return "never"

    @app.function()
    async def hopeless(step: Step) -> None:
        raise NonRetryable("no such customer")

    @app.function(on=Event("broken"))
    async def mistaken(step: Step) -> None:
        await asyncio.gather(step.run("twin", note, "a"), step.run("twin", note, "b"))


async def _one(number: int) -> int:
    return number


@dataclass
class Stand:
    engine: EngineProcess
    app: App
    client: Client


@pytest.fixture(scope="module")
def engine(postgres_server: Server, template_database: str) -> Iterator[EngineProcess]:
    with contextlib.contextmanager(database)(postgres_server, template_database) as url, EngineProcess(url) as engine:
        yield engine


@pytest_asyncio.fixture(params=[True, False], ids=["checkpointing", "one-call-per-round"])
async def stand(request: pytest.FixtureRequest, engine: EngineProcess) -> AsyncIterator[Stand]:
    DID.clear()
    name = f"contract-{next(_numbers)}"
    app = App(name, url=engine.url, checkpointing=request.param)
    declare_shop(app)
    declare_trouble(app)
    async with serving(app) as url, Client(url=engine.url) as client:
        await app.sync(url)
        await client.register(name)
        yield Stand(engine, app, client)


async def ended(client: Client, function: str, given: object = None) -> Any:
    run = await client.start(function, given)
    state = await client.wait(run.id, timeout=20)
    return state.output if state.status == "completed" else (state.status, state.error)


async def test_a_function_runs_from_its_event_to_its_end(stand: Stand) -> None:
    run = await stand.client.start("fulfil", Order(id="o1", cents=5))

    async def waits() -> bool:
        return (await stand.client.get(run.id)).activity == "waiting"

    await until(waits)
    await stand.client.send("approval.received", {"id": "other", "by": "eve"})
    await stand.client.send("approval.received", {"id": "o1", "by": "ann"})
    state = await stand.client.wait(run.id, timeout=20)
    assert state.output == {"charge": "c-o1", "key": f"{run.id}/charge", "mail": "MAIL", "text": "TEXT", "by": "ann"}
    await until(lambda: len(DID) == 4)
    assert sorted(DID) == ["charge o1", "follow up {'id': 'o1'}", "mail", "text"]


async def test_a_failing_step_is_tried_again(stand: Stand) -> None:
    assert await ended(stand.client, "flaky") == 3
    assert DID == ["try"] * 3


async def test_a_step_that_failed_for_good_is_raised_into_the_handler(stand: Stand) -> None:
    assert await ended(stand.client, "gives_up") == "CARD DECLINED"
    assert DID == ["declined", "declined", "card declined"]


async def test_branches_run_side_by_side(stand: Stand) -> None:
    assert await ended(stand.client, "branches") == ["X-2", "Y-2", "Z-2"]
    assert sorted(DID) == ["x-1", "x-2", "y-1", "y-2", "z-1", "z-2"]


async def test_a_wait_times_out(stand: Stand) -> None:
    assert await ended(stand.client, "times_out") == "None"


async def test_a_handler_that_is_slow_to_its_step_asks_for_more_time_or_says_so(stand: Stand) -> None:
    if stand.app._checkpointing:
        assert await ended(stand.client, "slow_start") == 1
        return
    status, error = await ended(stand.client, "slow_start")
    assert (status, error["name"]) == ("failed", "StartedTooLate")
    assert "slow things belong into steps" in error["message"]


async def test_a_long_run_runs_each_step_once(stand: Stand) -> None:
    assert await ended(stand.client, "many", 150) == sum(range(150))


async def test_errors_of_the_handler_fail_the_run_with_their_name(stand: Stand) -> None:
    status, error = await ended(stand.client, "hopeless")
    assert (status, error["name"], error["message"]) == ("failed", "NonRetryable", "no such customer")


async def test_a_mistake_fails_the_run_with_the_line(stand: Stand) -> None:
    status, error = await ended(stand.client, "mistaken")
    assert (status, error["name"]) == ("failed", "Mistake")
    assert f"{__file__}:" in error["message"]


async def test_many_runs_at_the_same_time_all_end(stand: Stand) -> None:
    results = await asyncio.gather(*(ended(stand.client, "many", 5) for _ in range(60)))
    assert results == [10] * 60


async def test_runs_that_go_on_together_are_called_together(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def counted(calls: list[Any], *args: Any, **more: Any) -> Stream:
        held.append(len(calls))
        return Stream(calls, *args, **more)

    monkeypatch.setattr("stepwell.endpoint.Stream", counted)
    await ended(stand.client, "many", 5)
    results = await asyncio.gather(*(ended(stand.client, "many", 5) for _ in range(60)))
    assert results == [10] * 60
    if stand.app._checkpointing:
        assert held == [], "their checkpoints share requests already"
    else:
        assert max(held) > 1
        assert sum(held) > len(held)


async def test_an_input_that_does_not_fit_is_refused_when_the_run_starts(stand: Stand) -> None:
    status, error = await ended(stand.client, "fulfil", {"id": "o1"})
    assert (status, error["name"]) == ("failed", "InvalidInput")
    assert "cents" in error["message"]
    assert DID == []


async def test_the_same_event_and_the_same_start_count_once(stand: Stand) -> None:
    twice = [NewEvent("order.fulfilled", {"n": 1}, id="evt-1"), NewEvent("order.fulfilled", {"n": 1}, id="evt-1")]
    first, second = await stand.client.send_many(twice)
    assert first == second
    started = [await stand.client.start("many", 1, idempotency_key="k") for _ in range(2)]
    assert started[0].id == started[1].id
    assert [run.new for run in started] == [True, False]


async def test_refusals_say_what_and_why(stand: Stand) -> None:
    with pytest.raises(RequestRefused, match="'nowhere' is not declared") as refusal:
        await stand.client.start("nowhere")
    assert refusal.value.status == 404
    async with Client(url=stand.engine.url, app_id=stand.client.connection.app_id, signing_key="wrong") as stranger:
        with pytest.raises(RequestRefused, match="HTTP 401"):
            await stranger.send("order.placed", {})


async def test_a_function_starts_runs_of_itself(stand: Stand) -> None:
    run = await stand.app.functions["many"].start(4, labels={"who": "me"})
    assert (await stand.client.wait(run.id, timeout=20)).output == 6


async def test_the_plain_client_does_the_same(stand: Stand) -> None:
    connection = stand.client.connection

    def plainly() -> object:
        with SyncClient(url=connection.url, app_id=connection.app_id, signing_key=connection.signing_keys[0]) as client:
            client.send("order.fulfilled", {"n": 2})
            return client.wait(client.start("many", 3).id, timeout=20).output

    assert await asyncio.to_thread(plainly) == 3
