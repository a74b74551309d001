"""Who leaves in a request with others, against an app on a real port."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integration.apps import HttpApp, Received, Reply, done, one_by_one, serving
from stepwell_engine.clock import SystemClock
from stepwell_engine.model import App
from stepwell_engine.transport.caller import Caller, Deadline
from stepwell_engine.transport.outcomes import Answered, Outcome, Unreached

KEY = "sk_test"
PACE = "work, first step"


@asynccontextmanager
async def calling() -> AsyncIterator[tuple[HttpApp, Caller]]:
    caller = Caller(clock=SystemClock())
    async with serving(one_by_one(KEY, lambda call: [done()])) as http:
        try:
            yield http, caller
        finally:
            await caller.close()


def app_at(url: str, *, generation: int = 1) -> App:
    return App(
        id="app",
        namespace="",
        name="shop",
        environment="dev",
        resource_uid=None,
        url=url,
        signing_keys=(KEY,),
        protocol=2,
        timed_signature_only=True,
        checkpointing=False,
        shared_calls=True,
        step_timeout=None,  # type: ignore[arg-type]
        max_in_flight=100,
        sdk={},
        probe_failures=0,
        probe_error=None,
        generation=generation,
    )


async def call(caller: Caller, app: App, run_id: str, *, send_in: float = 5.0, timeout: float = 5.0) -> Outcome:
    body = {"runId": run_id, "functionId": "work", "steps": {}, "call": {"token": 1, "seq": 1}}
    return await caller.call(
        app,
        json.dumps(body).encode(),
        token=1,
        seq=lambda: 1,
        deadline=Deadline(timeout),
        send_by=time.monotonic() + send_in,
        database_time=time.time,
        company=True,
        pace=PACE,
    )


def sizes(http: HttpApp) -> list[int]:
    """How many calls each request held."""
    parsed = [json.loads(request.body) for request in http.received]
    return [len(each) if isinstance(each, list) else 1 for each in parsed]


async def test_who_is_cancelled_before_the_request_leaves_is_not_in_it() -> None:
    async with calling() as (http, caller):
        app = app_at(http.url)
        await call(caller, app, "teacher")
        tasks = [asyncio.create_task(call(caller, app, run_id)) for run_id in ("a", "b", "c")]
        asyncio.get_running_loop().call_soon(tasks[1].cancel)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Answered, asyncio.CancelledError, Answered]
    assert [each["runId"] for each in json.loads(http.received[1].body)] == ["a", "c"]


async def test_calls_with_different_deadlines_or_to_different_generations_of_an_app_go_apart() -> None:
    async with calling() as (http, caller):
        app, changed = app_at(http.url), app_at(http.url, generation=2)
        await call(caller, app, "teacher")
        await asyncio.gather(
            *(call(caller, app, run_id) for run_id in ("a", "b")),
            *(call(caller, app, run_id, timeout=1) for run_id in ("c", "d", "e")),
            *(call(caller, changed, run_id) for run_id in ("f", "g", "h", "i")),
        )
    assert sorted(sizes(http)) == [1, 2, 3, 4]


async def test_a_request_is_not_sent_when_it_is_too_late_for_one_of_its_calls() -> None:
    async with calling() as (http, caller):
        app = app_at(http.url)
        await call(caller, app, "teacher")
        outcomes = await asyncio.gather(call(caller, app, "a"), call(caller, app, "b", send_in=-1))
    assert [isinstance(each, Unreached) and not each.may_have_started for each in outcomes] == [True, True]
    assert sizes(http) == [1]


async def test_an_app_that_is_away_teaches_nothing_about_how_long_its_calls_take() -> None:
    async with calling() as (http, caller):
        app = app_at(http.url)
        await http.close()
        assert isinstance(await call(caller, app, "a"), Unreached)
        await http.listen()
        await asyncio.gather(*(call(caller, app, run_id) for run_id in ("b", "c")))
    assert sizes(http) == [1, 1]


async def test_closing_ends_the_calls_of_an_open_request() -> None:
    hold = asyncio.Event()
    async with calling() as (http, caller):
        app = app_at(http.url)
        await call(caller, app, "teacher")
        arrived = asyncio.Event()

        async def answer(_: Received) -> Reply:
            arrived.set()
            await hold.wait()
            return Reply()

        http.answer = answer
        waiting = [asyncio.create_task(call(caller, app, run_id)) for run_id in ("a", "b")]
        await arrived.wait()
        await caller.close()
        assert [type(each) for each in await asyncio.gather(*waiting)] == [Unreached, Unreached]
        hold.set()
