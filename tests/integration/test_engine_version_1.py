"""The whole engine with an app that knows version 1 only."""

import itertools
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integration.apps import HttpApp, Json, Reply, done, serving, signed, step, stepping, version_1
from integration.stand import hurry, running, serving_gateway
from integration.world import KEY, World
from stepwell_engine.model import App

QUICK = {"maxAttempts": 3, "backoff": {"type": "Constant", "initial": "10ms", "max": "10ms"}}


def in_(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def declared(world: World, http: HttpApp, *names: str, **document: Any) -> App:
    app = await world.app(url=http.url)
    for name in names:
        await world.function(app, name, **{"retries": QUICK, **document})
    return app


def first(http: HttpApp, run_id: object) -> list[Json]:
    """The calls of one run, in order."""
    return [call for call in (request.json for request in http.received) if call["runId"] == str(run_id)]


async def test_a_call_carries_exactly_the_acknowledged_results_byte_for_byte(world: World, database_url: str) -> None:
    odd = b'{"z": 1.50,  "a": 1E2, "u": "\\u00e9\\/", "n": -0.0, "big": 12345678901234567890123, "l": [ 1,2 ]}'

    def handler(call: Json) -> Json | bytes:
        if "one" not in call["steps"]:
            return b'{"op": "step", "id": "one", "data": ' + odd + b"}"
        return step("two", None) if "two" not in call["steps"] else b'{"op":"done","data":' + odd + b"}"

    async with serving(version_1(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http, "work")
        run_id = await world.start(app, input={"n": 1})
        run = await world.ended(run_id)
    assert (run["status"], run["output"]) == ("completed", odd)
    head = b'{"runId":"%b","functionId":"work","event":{"id":"%b","name":"$start","data":{"n":1}},"steps":{'
    head %= (str(run_id).encode(), str(run_id).encode())
    one = b'"one":{"type":"run","data":%b}' % odd
    assert [request.body for request in http.received] == [
        head + b"}}",
        head + one + b"}}",
        head + one + b',"two":{"type":"run","data":null}}}',
    ]


async def test_each_step_is_executed_once_and_its_result_kept(world: World, database_url: str) -> None:
    async with serving(version_1(KEY, work=stepping("a", "b", "c"))) as http, running(database_url):
        app = await declared(world, http, "work")
        run_id = await world.start(app)
        await world.ended(run_id)
    assert [call["steps"] for call in first(http, run_id)][-1] == {
        name: {"type": "run", "data": n} for n, name in enumerate("abc", 1)
    }
    assert [entry for entry, _ in await world.told(run_id)] == ["step_completed"] * 3 + ["run_completed"]


async def test_a_sleep_ends_when_its_time_has_come_and_gives_null(world: World, database_url: str) -> None:
    called: list[float] = []

    def handler(call: Json) -> Json:
        called.append(time.time())
        return {"op": "sleep", "id": "nap", "until": in_(0.4)} if "nap" not in call["steps"] else done()

    async with serving(version_1(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http, "work")
        run_id = await world.start(app)
        await world.reached(run_id, "sleeping")
        await world.ended(run_id)
    assert called[1] - called[0] >= 0.399  # the instant itself is cut to milliseconds
    assert first(http, run_id)[1]["steps"] == {"nap": {"type": "sleep", "data": None}}


async def test_a_wait_gives_the_matching_event_and_not_another(world: World, database_url: str) -> None:
    def handler(call: Json) -> Json:
        if "approve" in call["steps"]:
            return done(call["steps"]["approve"]["data"]["data"])
        wanted = {"orderId": call["event"]["data"]["orderId"]}
        return {"op": "wait", "id": "approve", "event": "approved", "match": wanted, "until": in_(60)}

    async with serving(version_1(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http, "work")
        run_id = await world.start(app, input={"orderId": "o1"})
        await world.reached(run_id, "waiting")
        await world.send(app, ("approved", {"orderId": "o2"}), ("approved", {"orderId": "o1", "by": "ada"}))
        run = await world.ended(run_id)
    assert json.loads(run["output"]) == {"orderId": "o1", "by": "ada"}


async def test_a_wait_that_times_out_gives_null(world: World, database_url: str) -> None:
    def handler(call: Json) -> Json:
        if "approve" in call["steps"]:
            return done(call["steps"]["approve"])
        return {"op": "wait", "id": "approve", "event": "approved", "match": None, "until": in_(0.2)}

    async with serving(version_1(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http, "work")
        run = await world.ended(await world.start(app))
    assert json.loads(run["output"]) == {"type": "wait", "data": None}


async def test_a_retryable_error_is_tried_again_and_the_attempts_are_on_record(world: World, database_url: str) -> None:
    tries = itertools.count(1)

    def handler(call: Json) -> Json:
        if "mail" in call["steps"]:
            return done()
        if next(tries) < 3:
            return {"op": "error", "id": "mail", "message": "not yet", "retryable": True}
        return step("mail", "sent")

    async with serving(version_1(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http, "work")
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    entries = await world.entries(run_id)
    assert [(row["entry"], row["attempt"]) for row in entries if row["step"] == "mail"] == [
        ("attempt_failed", 1),
        ("attempt_failed", 2),
        ("step_completed", 3),
    ]


@pytest.mark.parametrize("id", ["mail", None])
@pytest.mark.parametrize(("retryable", "calls"), [(True, 3), (False, 1)])
async def test_a_failure_that_uses_up_its_attempts_or_may_not_be_retried_fails_the_run(
    world: World, database_url: str, id: str | None, retryable: bool, calls: int
) -> None:
    async with (
        serving(
            version_1(KEY, work=lambda call: {"op": "error", "id": id, "message": "no stock", "retryable": retryable})
        ) as http,
        running(database_url),
    ):
        app = await declared(world, http, "work")
        run_id = await world.start(app)
        run = await world.ended(run_id)
    assert run["status"] == "failed"
    assert json.loads(run["error"])["message"] == "no stock"
    assert len(http.received) == calls


async def test_http_500_uses_up_attempts(world: World, database_url: str) -> None:
    async with (
        serving(version_1(KEY, work=lambda call: signed(b"boom", KEY, status=500))) as http,
        running(database_url),
    ):
        app = await declared(world, http, "work")
        run = await world.ended(await world.start(app))
    assert (run["status"], run["reason"], len(http.received)) == ("failed", "HttpError", 3)
    assert "HTTP 500: boom" in json.loads(run["error"])["message"]


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
async def test_an_app_that_is_away_for_a_moment_uses_up_no_attempt(
    world: World, database_url: str, status: int
) -> None:
    replies = iter([Reply(status=status)])
    handler = stepping()
    async with (
        serving(version_1(KEY, work=lambda call: next(replies, None) or handler(call))) as http,
        running(database_url) as engine,
    ):
        app = await declared(world, http, "work", retries={"maxAttempts": 1})
        run_id = await world.start(app)
        await world.until("select reason = 'EndpointUnreachable' from stepwell.run")
        await hurry(world, engine)
        assert (await world.ended(run_id))["status"] == "completed"
    assert len(http.received) == 2
    assert await world.told(run_id) == [("run_completed", None)]


async def test_an_app_that_says_when_to_come_back_is_heeded(world: World, database_url: str) -> None:
    called: list[float] = []

    def handler(call: Json) -> Json | Reply:
        called.append(time.monotonic())
        return Reply(status=429, headers={"retry-after": "1"}) if len(called) == 1 else done()

    async with serving(version_1(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http, "work", retries={"maxAttempts": 1})
        await world.ended(await world.start(app))
    assert called[1] - called[0] >= 1


async def test_an_app_that_is_down_is_called_when_it_is_back(world: World, database_url: str) -> None:
    async with serving(version_1(KEY, work=stepping("a"))) as http, running(database_url) as engine:
        app = await declared(world, http, "work", retries={"maxAttempts": 1})
        await http.close()
        run_id = await world.start(app)
        await world.until("select reason is not null from stepwell.run")
        run = await world.run(run_id)
        assert (run["activity"], run["reason"]) == ("queued", "EndpointUnreachable")
        await http.listen()
        await hurry(world, engine)
        assert (await world.ended(run_id))["status"] == "completed"
        assert (await world.run(run_id))["reason"] is None


async def test_a_run_of_an_app_without_an_address_waits_for_one(world: World, database_url: str) -> None:
    async with serving(version_1(KEY, work=stepping())) as http, running(database_url) as engine:
        app = await world.app()
        await world.function(app)
        run_id = await world.start(app)
        await world.until("select reason = 'EndpointUnreachable' from stepwell.run")
        await world.app(url=http.url)
        await hurry(world, engine)
        assert (await world.ended(run_id))["status"] == "completed"


async def test_input_that_does_not_fit_the_schema_fails_the_run_before_any_call(
    world: World, database_url: str
) -> None:
    schema = {"type": "object", "required": ["orderId"]}
    async with serving(version_1(KEY, work=stepping())) as http, running(database_url):
        app = await declared(world, http, "work", input={"schema": schema})
        run = await world.ended(await world.start(app, input={"n": 1}))
    assert (run["status"], run["reason"], http.received) == ("failed", "InvalidInput", [])
    assert "orderId" in json.loads(run["error"])["message"]


LIMIT = 4 * 1024 * 1024


@pytest.mark.parametrize(("size", "status"), [(LIMIT, "completed"), (LIMIT + 1, "failed")])
async def test_a_steps_result_has_its_limit_to_the_byte(
    world: World, database_url: str, size: int, status: str
) -> None:
    data = b'"%b"' % (b"x" * (size - 2))

    def handler(call: Json) -> Json | bytes:
        return done() if call["steps"] else b'{"op":"step","id":"a","data":' + data + b"}"

    async with serving(version_1(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http, "work")
        run = await world.ended(await world.start(app))
    assert run["status"] == status
    if status == "failed":
        error = json.loads(run["error"])
        assert "the step's result is 4,194,305 bytes; the limit is 4 MiB" in error["message"]
        assert error["retryable"] is False


async def test_an_event_sent_over_http_starts_a_run_that_completes(world: World, database_url: str) -> None:
    async with serving(version_1(KEY, work=stepping("a"))) as http, serving_gateway(database_url) as stand:
        app = await declared(world, http, "work", triggers=[{"event": {"name": "go"}}])
        answer = await stand.post("/e", {"name": "go", "data": {"n": 1}}, app=app.id, key=KEY)
        assert answer.status_code == 200
        event_id = answer.json()["id"]
        run_id = await world.value("select id from stepwell.run where event_id = %(id)s::uuid", id=event_id)
        await world.ended(run_id)
    assert first(http, run_id)[0]["event"] == {"id": event_id, "name": "go", "data": {"n": 1}}


async def test_runs_side_by_side_all_complete(world: World, database_url: str) -> None:
    handlers: Mapping[str, Callable[[Json], Json]] = {"work": stepping("a", "b")}
    async with serving(version_1(KEY, **handlers)) as http, running(database_url):
        app = await declared(world, http, "work", triggers=[{"event": {"name": "many"}}])
        await world.backlog(app, 100)
        await world.until("select count(*) = 100 from stepwell.run where status = 'completed'", within=30)
    results = await world.rows("select data from stepwell.journal where entry = 'step_completed'")
    assert len({row["data"] for row in results}) == len(results) == 200
