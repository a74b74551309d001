"""Calls that are ready together go in one request, and nothing else about them changes: each has its own answer, its own
commit and its own end, whatever happens to the request.

The app is written by hand from the description of the wire. A first run teaches the engine that the function's calls are over
soon; a backlog that is claimed in one batch is then ready in one turn of the event loop.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from integration.apps import HttpApp, Json, Received, Reply, answer_to, done, one_by_one, part, serving, step, streamed
from integration.stand import idle, running
from integration.world import KEY, World, on
from stepwell_engine.engine import Engine
from stepwell_engine.model import App

QUICK = {"maxAttempts": 3, "backoff": {"type": "Constant", "initial": "10ms", "max": "10ms"}}

Together = Callable[[list[Json]], Reply | Awaitable[Reply]]


def handler(call: Json) -> Sequence[Json]:
    return [done(call["runId"])] if "a" in call["steps"] else [step("a", call["runId"])]


def body_of(call: Json) -> bytes:
    return answer_to(call, handler(call), KEY).body


def requests(http: HttpApp) -> list[list[Json]]:
    """The calls of each request that held several."""
    parsed = [json.loads(request.body) for request in http.received]
    return [calls for calls in parsed if isinstance(calls, list)]


def alone(http: HttpApp) -> list[Json]:
    parsed = [json.loads(request.body) for request in http.received]
    return [call for call in parsed if not isinstance(call, list)]


@asynccontextmanager
async def taught(
    world: World, database_url: str, *, together: Together | None = None, **settings: Any
) -> AsyncIterator[tuple[HttpApp, App, Engine]]:
    """An engine that knows the function `work` to be quick, and its app. `together` answers several calls."""
    ordinary = one_by_one(KEY, handler)

    async def answer(request: Received) -> Reply:
        calls = json.loads(request.body)
        if not isinstance(calls, list) or together is None:
            return await ordinary(request)
        reply = together(calls)
        return await reply if isinstance(reply, Awaitable) else reply

    async with serving(answer) as http, running(database_url, **settings) as engine:
        app = await world.app(url=http.url, protocol=2, shared_calls=True)
        await world.function(app, triggers=on("many"), retries=QUICK)
        await world.ended(await world.start(app))
        http.received.clear()
        yield http, app, engine


async def outcomes(world: World, run_ids: Sequence[UUID]) -> None:
    """Every run has completed with results of its own, without a failed attempt."""
    for run_id in run_ids:
        run = await world.ended(run_id)
        assert (run["status"], json.loads(run["output"])) == ("completed", str(run_id))
        assert [entry for entry, _ in await world.told(run_id)] == ["step_completed", "run_completed"]


async def test_calls_that_are_ready_together_share_a_request(world: World, database_url: str) -> None:
    async with taught(world, database_url) as (http, app, _):
        runs = await world.backlog(app, 100)
        await outcomes(world, runs)
    first = [calls for calls in requests(http) if not calls[0]["steps"]]
    assert [len(calls) for calls in first] == [50, 50], "64 at most, and evenly"
    assert sorted(call["runId"] for calls in first for call in calls) == sorted(map(str, runs))
    assert len(http.received) < 100, "200 calls"
    assert all("x-durable-signature" not in request.headers for request in http.received if request.body[:1] == b"[")


async def test_a_call_that_is_ready_alone_goes_alone(world: World, database_url: str) -> None:
    async with taught(world, database_url) as (http, app, _):
        for _ in range(3):
            await world.ended(await world.start(app))
    assert requests(http) == []


async def test_an_app_that_does_not_say_that_it_takes_them_gets_none(world: World, database_url: str) -> None:
    async with taught(world, database_url) as (http, app, _):
        await world.app(url=http.url, protocol=2, shared_calls=False)
        await outcomes(world, await world.backlog(app, 5))
    assert requests(http) == []


async def test_an_answer_counts_as_soon_as_its_part_has_come(world: World, database_url: str) -> None:
    first_ended = asyncio.Event()

    def together(calls: list[Json]) -> Reply:
        if len(calls) < 3:
            return Reply(body=part(*[(place, 200, body_of(call)) for place, call in enumerate(calls)], key=KEY))
        bodies = [body_of(call) for call in calls]
        return streamed(
            part((1, 200, bodies[1]), key=KEY),
            first_ended.wait(),
            part((2, 200, bodies[2]), (0, 200, bodies[0]), key=KEY),
        )

    async with taught(world, database_url, together=together) as (http, app, _):
        runs = await world.backlog(app, 3)
        order = [UUID(run_id) for run_id in await first_request(http)]
        await outcomes(world, [order[1]])
        assert {await world.state(run_id) for run_id in runs if run_id != order[1]} == {"executing"}
        first_ended.set()
        await outcomes(world, runs)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing signals."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


async def first_request(http: HttpApp) -> list[str]:
    """The runs of the first request with several calls, once it has come."""
    await until(lambda: bool(requests(http)))
    return [call["runId"] for call in requests(http)[0]]


@pytest.mark.parametrize("status", [400, 404, 413])
async def test_an_app_that_refuses_them_gets_each_alone_at_once_and_from_then_on(
    world: World, database_url: str, status: int
) -> None:
    async with taught(world, database_url, together=lambda calls: Reply(status=status)) as (http, app, _):
        await outcomes(world, await world.backlog(app, 5))
        await outcomes(world, await world.backlog(app, 5))
    assert len(requests(http)) == 1
    refused = {call["runId"]: call["call"]["token"] for call in requests(http)[0]}
    then = {call["runId"]: call["call"]["token"] for call in alone(http) if call["runId"] in refused}
    assert then == refused, "under the same lease"


@pytest.mark.parametrize(
    "answered",
    [
        lambda calls: Reply(raw=b""),
        lambda calls: Reply(status=500, body=b"oops"),
        lambda calls: Reply(body=part((0, 200, body_of(calls[0])), key="another key")),
        lambda calls: Reply(body=b"<html>Welcome to nginx</html>"),
        lambda calls: Reply(body=b"x" * 5000),
        lambda calls: Reply(body=answer_to(calls[0], handler(calls[0]), KEY).body + b"\n"),
        lambda calls: Reply(body=part((77, 200, body_of(calls[0])), key=KEY)),
    ],
    ids=["hangs up", "500", "another key", "a web page", "endless head", "one answer", "an answer to no call"],
)
async def test_a_request_that_fails_costs_no_attempt_and_its_calls_come_again_apart(
    world: World, database_url: str, answered: Together
) -> None:
    """Nobody knows which of the calls have started, so none is repeated before it is too late for the first ones to start."""
    async with taught(world, database_url, together=answered, lease=timedelta(seconds=2)) as (http, app, _):
        runs = await world.backlog(app, 5)
        await outcomes(world, runs)
    assert len(requests(http)) == 1
    begun = {call["runId"]: call["call"] for call in requests(http)[0]}
    again = {call["runId"]: call["call"] for call in reversed(alone(http))}
    for run_id in map(str, runs):
        assert again[run_id]["token"] > begun[run_id]["token"]
        assert again[run_id]["startBy"] >= begun[run_id]["startBy"] + 1000, "startBy is 1.5 s after sending here"


async def test_what_came_before_the_connection_broke_is_kept(world: World, database_url: str) -> None:
    def together(calls: list[Json]) -> Reply:
        return streamed(part((1, 200, body_of(calls[1])), key=KEY))

    async with taught(world, database_url, together=together, lease=timedelta(seconds=2)) as (http, app, _):
        runs = await world.backlog(app, 3)
        kept = UUID((await first_request(http))[1])
        await outcomes(world, runs)
    calls_of_kept = [call for call in alone(http) if call["runId"] == str(kept)]
    assert ["a" in call["steps"] for call in calls_of_kept] == [True], "its first step was not called for again"


async def test_each_answer_is_judged_by_itself(world: World, database_url: str) -> None:
    told: dict[str, str] = {}

    def together(calls: list[Json]) -> Reply:
        wrong = [
            ("refused", 409, b'{"refused":"late"}'),
            ("busy", 503, b""),
            ("oops", 500, b"oops"),
            ("garbage", 200, b"<html>"),
            ("illegal", 200, answer_to(calls[4], [{"op": "format-disk"}], KEY).body),
            ("another's", 200, body_of(calls[0])),
        ]
        told.update({calls[place]["runId"]: name for place, (name, *_) in enumerate(wrong)})
        told[calls[6]["runId"]] = "sound"
        lines = [(place, status, body) for place, (_, status, body) in enumerate(wrong)]
        return Reply(body=part(*lines, (6, 200, body_of(calls[6])), key=KEY))

    async with taught(world, database_url, together=together, lease=timedelta(seconds=2)) as (_, app, engine):
        runs = await world.backlog(app, 7)
        ended = {run_id: await world.ended(run_id) for run_id in runs}
        failed = {
            told[str(run_id)]: json.loads(entry["error"])["name"]
            for run_id in runs
            for entry in await world.entries(run_id)
            if entry["error"]
        }
        await idle(engine)
    assert failed == {
        "oops": "HttpError",
        "garbage": "UnreadableAnswer",
        "another's": "UnreadableAnswer",
        "illegal": "IllegalAnswer",
    }
    assert {told[str(run_id)] for run_id, run in ended.items() if run["status"] == "failed"} == {"illegal"}


async def test_a_function_whose_calls_take_long_shares_no_request(world: World, database_url: str) -> None:
    slow = asyncio.Event()

    async def late(call: Json) -> Sequence[Json]:
        if slow.is_set():
            await asyncio.sleep(0.3)
        return handler(call)

    async with serving(one_by_one(KEY, late)) as http, running(database_url) as engine:
        app = await world.app(url=http.url, protocol=2, shared_calls=True)
        await world.function(app, triggers=on("many"))
        slow.set()
        await outcomes(world, await world.backlog(app, 4))
        assert requests(http) == [], "nothing was known of it"
        await outcomes(world, await world.backlog(app, 4))
        assert requests(http) == [], "its calls take 0.3 s"
        slow.clear()
        await outcomes(world, [await world.start(app)])
        await idle(engine)
        await outcomes(world, await world.backlog(app, 4))
        assert requests(http)


async def test_a_large_call_goes_alone(world: World, database_url: str) -> None:
    async with taught(world, database_url) as (http, app, _):
        accepted = await world.send(app, *[("many", "x" * 70_000), ("many", 1), ("many", 2)])
        await outcomes(world, [run_id for each in accepted for run_id in each.run_ids])
    assert [len(calls) for calls in requests(http)][:1] == [2]


async def test_a_run_that_is_cancelled_leaves_its_company_and_the_last_one_closes_the_connection(
    world: World, database_url: str
) -> None:
    hold, answer_two = asyncio.Event(), asyncio.Event()

    def together(calls: list[Json]) -> Reply:
        two = [(place, 200, body_of(calls[place])) for place in (1, 0)]
        return streamed(answer_two.wait(), part(*two, key=KEY), hold.wait())

    async with taught(world, database_url, together=together, lease=timedelta(seconds=1)) as (http, app, engine):
        await world.backlog(app, 3)
        first, *others = map(UUID, await first_request(http))
        await world.journal.control.cancel(others[0])
        await until(lambda: others[0] not in engine.worker.leased)
        assert engine.caller.client._under_way, "two wait for their answers"
        answer_two.set()
        await outcomes(world, [first])
        assert engine.caller.client._under_way, "one waits for its answer"
        await world.journal.control.cancel(others[1])
        await until(lambda: not engine.caller.client._under_way)
        hold.set()
        assert [await world.state(run_id) for run_id in others] == ["cancelled", "cancelled"]


async def test_calls_that_are_not_answered_in_time_use_an_attempt_each(world: World, database_url: str) -> None:
    hold = asyncio.Event()

    def together(calls: list[Json]) -> Reply:
        return streamed(part((0, 200, body_of(calls[0])), key=KEY), hold.wait())

    async with serving(one_by_one(KEY, handler)) as http, running(database_url) as engine:
        app = await world.app(url=http.url, protocol=2, shared_calls=True)
        await world.function(app, triggers=on("many"), retries=QUICK, timeouts={"step": "300ms"})
        await world.ended(await world.start(app))
        ordinary = http.answer

        async def answer(request: Received) -> Reply:
            calls = json.loads(request.body)
            return together(calls) if isinstance(calls, list) and len(calls) == 3 else await ordinary(request)

        http.answer = answer
        runs = await world.backlog(app, 3)
        failures = [
            [json.loads(entry["error"])["name"] for entry in await world.entries(run_id) if entry["error"]]
            for run_id in runs
            if (await world.ended(run_id))["status"] == "completed"
        ]
        hold.set()
        await idle(engine)
    assert sorted(failures) == [[], ["StepTimedOut"], ["StepTimedOut"]]


async def test_an_engine_that_stops_gives_back_the_runs_of_an_open_request(world: World, database_url: str) -> None:
    hold = asyncio.Event()
    async with taught(
        world, database_url, together=lambda calls: streamed(hold.wait()), drain=timedelta(seconds=0)
    ) as (http, app, _):
        runs = await world.backlog(app, 3)
        await first_request(http)
    jobs = [await world.job(run_id) for run_id in runs]
    assert [job and job["owner"] for job in jobs] == [None, None, None]
    hold.set()


async def test_steps_of_workflows_share_requests_too(world: World, database_url: str) -> None:
    def work(call: Json) -> Sequence[Json]:
        return [step(call["step"]["id"], call["runId"])]

    async with serving(one_by_one(KEY, work)) as http, running(database_url):
        app = await world.app(url=http.url, protocol=2, shared_calls=True)
        await world.workflow(app, triggers=on("many"), steps=[{"name": "only", "call": {"handler": "work"}}])
        (first,) = await world.backlog(app, 1)
        await world.ended(first)
        for run_id in await world.backlog(app, 5):
            assert (await world.ended(run_id))["status"] == "completed"
    assert [len(calls) for calls in requests(http)] == [5]
