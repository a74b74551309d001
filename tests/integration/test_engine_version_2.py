"""The whole engine with an app that knows version 2: its answers are written by hand from the description of the wire."""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from integration.apps import (
    HttpApp,
    Json,
    Received,
    Reply,
    answer_to,
    done,
    serving,
    sign_timed,
    step,
    verified,
    version_2,
)
from integration.stand import hurry, idle, running, serving_gateway
from integration.world import KEY, World
from stepwell_engine.errors import Unavailable
from stepwell_engine.model import App, AppSettings, NewEvent

QUICK = {"maxAttempts": 3, "backoff": {"type": "Constant", "initial": "10ms", "max": "10ms"}}


def in_(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fail(id: str, *, message: str = "no", **more: Any) -> Json:
    return {"op": "fail", "id": id, "error": {"name": "NoStock", "message": message, **more}}


async def declared(world: World, http: HttpApp, name: str = "work", **document: Any) -> App:
    app = await world.app(url=http.url, protocol=2)
    await world.function(app, name, **{"retries": QUICK, **document})
    return app


def calls(http: HttpApp) -> list[Json]:
    return [request.json for request in http.received]


async def test_a_call_says_under_which_terms_it_may_run(world: World, database_url: str) -> None:
    async with serving(version_2(KEY, work=lambda call: [done()])) as http, running(database_url):
        app = await declared(world, http)
        before = time.time() * 1000
        await world.ended(await world.start(app))
    (call,) = calls(http)
    terms = call["call"]
    assert call["revision"] == 1
    assert (call["attempts"], call["pending"], terms["seq"]) == ({}, [], 1)
    assert terms["token"] > 0
    assert before < terms["startBy"] <= before + 7_000
    assert before + 29_000 < terms["endBy"] < before + 32_000
    assert "checkpoint" not in call


async def test_a_call_carries_both_signatures_unless_the_app_wants_the_timed_one_only(
    world: World, database_url: str
) -> None:
    async with serving(version_2(KEY, work=lambda call: [done()])) as http, running(database_url):
        app = await declared(world, http)
        await world.ended(await world.start(app))
        await world.journal.definitions.put_app(AppSettings(name="shop", timed_signature_only=True))
        await world.ended(await world.start(app))
    both, timed = http.received
    assert verified(both, KEY)
    assert verified(timed, KEY)
    assert "x-durable-signature" in both.headers
    assert "x-durable-signature" not in timed.headers


async def test_while_keys_rotate_a_call_is_signed_with_both_and_an_answer_may_be_with_either(
    world: World, database_url: str
) -> None:
    keys = ("new key", KEY)
    signing = iter(keys)

    async def answer(request: Any) -> Reply:
        assert all(verified(request, key) for key in keys)
        return answer_to(request.json, [done()], next(signing))

    async with serving(answer) as http, running(database_url):
        app = await declared(world, http)
        await world.journal.definitions.put_app(AppSettings(name="shop", signing_keys=keys))
        for _ in keys:
            assert (await world.ended(await world.start(app)))["status"] == "completed"


async def test_several_results_in_one_answer_are_journaled_together(world: World, database_url: str) -> None:
    def handler(call: Json) -> Sequence[Json]:
        return [done()] if call["steps"] else [step("a", 1), step("b", 2), step("c", 3)]

    async with serving(version_2(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http)
        run_id = await world.start(app)
        await world.ended(run_id)
    assert list(calls(http)[1]["steps"]) == ["a", "b", "c"]
    assert [call["call"]["seq"] for call in calls(http)] == [1, 2]
    assert len({row["committed_at"] for row in await world.entries(run_id) if row["entry"] == "step_completed"}) <= 3
    assert await world.value("select count(distinct xmin::text) from stepwell.journal where step is not null") == 1


async def test_one_of_several_steps_is_tried_again_alone(world: World, database_url: str) -> None:
    def handler(call: Json) -> Sequence[Json]:
        if not call["steps"]:
            return [step("a", 1), fail("b"), step("c", 3)]
        if "b" in call["pending"]:
            return []
        return [done()] if "b" in call["steps"] else [step("b", 2)]

    async with serving(version_2(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http)
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    told = [(row["entry"], row["step"], row["attempt"]) for row in await world.entries(run_id) if row["step"]]
    assert told == [
        ("step_completed", "a", 1),
        ("attempt_failed", "b", 1),
        ("step_completed", "c", 1),
        ("step_completed", "b", 2),
    ]
    assert [call["attempts"].get("b") for call in calls(http)][-1] == 1


async def test_a_step_that_failed_for_good_is_handed_to_the_handler_which_may_go_on(
    world: World, database_url: str
) -> None:
    def handler(call: Json) -> Sequence[Json]:
        failed = call["steps"].get("pay")
        return [done({"caught": failed["error"]["message"]})] if failed else [fail("pay", message="declined")]

    async with serving(version_2(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http)
        run_id = await world.start(app)
        run = await world.ended(run_id)
    assert json.loads(run["output"]) == {"caught": "declined"}
    error = calls(http)[-1]["steps"]["pay"]["error"]
    assert (error["name"], error["message"]) == ("NoStock", "declined")
    assert len(http.received) == 4
    assert [entry for entry, _ in await world.told(run_id)].count("attempt_failed") == 2


async def test_a_failure_and_the_attempts_used_survive_a_change_of_worker(world: World, database_url: str) -> None:
    """Each call is made by another lease: what was used up stays used up."""

    def handler(call: Json) -> Sequence[Json]:
        if "pay" in call["steps"]:
            assert "error" in call["steps"]["pay"], "a failure came back as a result"
            return [done(call["attempts"])]
        return [fail("pay")]

    async with serving(version_2(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http)
        run = await world.ended(await world.start(app))
    assert (run["status"], len(http.received)) == ("completed", 4)
    assert len({call["call"]["token"] for call in calls(http)}) == 3


async def test_an_error_may_say_how_long_to_wait(world: World, database_url: str) -> None:
    async with (
        serving(version_2(KEY, work=lambda call: [fail("mail", retryAfter=3600)])) as http,
        running(database_url),
    ):
        app = await declared(world, http)
        run_id = await world.start(app)
        await world.reached(run_id, "sleeping")
    (wait,) = await world.waits(run_id)
    assert wait["due"] - wait["created_at"] > timedelta(minutes=59)


async def test_waits_beside_each_other_are_pending_until_each_is_settled(world: World, database_url: str) -> None:
    def handler(call: Json) -> Sequence[Json]:
        if not call["pending"] and not call["steps"]:
            return [
                {"op": "sleep", "id": "nap", "until": in_(0.1)},
                {"op": "wait", "id": "approve", "event": "approved", "match": None, "until": None},
            ]
        return [] if call["pending"] else [done(sorted(call["steps"]))]

    async with serving(version_2(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http)
        run_id = await world.start(app)
        await world.until("select count(*) = 1 from stepwell.journal where entry = 'wait_completed'")
        await world.reached(run_id, "waiting")
        await world.send(app, ("approved", None))
        run = await world.ended(run_id)
    assert json.loads(run["output"]) == ["approve", "nap"]
    assert [sorted(call["pending"]) for call in calls(http)] == [[], ["approve"], []]


async def test_continue_asks_for_the_next_call_at_once(world: World, database_url: str) -> None:
    def handler(call: Json) -> Sequence[Json]:
        return (
            [done()]
            if "b" in call["steps"]
            else [step("b", 1)]
            if "a" in call["steps"]
            else [step("a", 1), {"op": "continue"}]
        )

    async with serving(version_2(KEY, work=handler)) as http, running(database_url):
        app = await declared(world, http)
        assert (await world.ended(await world.start(app)))["status"] == "completed"
    assert [call["call"]["seq"] for call in calls(http)] == [1, 2, 3]


async def test_a_handler_that_no_longer_reaches_its_journal_is_paused_and_may_be_resumed(
    world: World, database_url: str
) -> None:
    strayed = {"op": "error", "id": None, "error": {"name": "NonDeterministic", "message": "step 'a' is gone"}}
    answers = iter([[strayed]])
    async with (
        serving(version_2(KEY, work=lambda call: next(answers, None) or [done()])) as http,
        running(database_url) as engine,
    ):
        app = await declared(world, http)
        run_id = await world.start(app)
        run = await world.reached(run_id, "paused")
        assert run["reason"] == "NonDeterministic"
        await world.journal.control.resume(run_id)
        await hurry(world, engine)
        assert (await world.ended(run_id))["status"] == "completed"


# Events that a step sends


async def test_events_that_a_step_sends_start_their_runs_once(world: World, database_url: str) -> None:
    def sender(call: Json) -> Sequence[Json]:
        sent = call["steps"].get("tell")
        events = [{"name": "told", "data": {"n": 1}}, {"name": "told", "data": {"n": 2}, "id": "own-id"}]
        return [done(sent["data"])] if sent else [{"op": "sendEvent", "id": "tell", "events": events}]

    async with (
        serving(version_2(KEY, work=sender, listener=lambda call: [done(call["event"])])) as http,
        running(database_url),
    ):
        app = await declared(world, http)
        await world.function(app, "listener", triggers=[{"event": {"name": "told"}}])
        run = await world.ended(await world.start(app))
        await world.until("select count(*) = 2 from stepwell.run where name = 'listener' and status = 'completed'")
    listened = await world.rows("select event_id, output from stepwell.run where name = 'listener' order by id")
    assert json.loads(run["output"]) == [str(row["event_id"]) for row in listened]
    assert [json.loads(row["output"])["data"] for row in listened] == [{"n": 1}, {"n": 2}]
    assert json.loads(listened[1]["output"])["id"] == "own-id"


async def test_a_step_whose_result_was_lost_sends_its_events_once_though_it_runs_again(
    world: World, database_url: str
) -> None:
    def sender(call: Json) -> Sequence[Json]:
        if "tell" in call["steps"]:
            return [done()]
        return [{"op": "sendEvent", "id": "tell", "events": [{"name": "told", "data": 1}]}]

    async with (
        serving(version_2(KEY, work=sender)) as http,
        running(database_url, lease=timedelta(seconds=1)) as engine,
    ):
        app = await declared(world, http)
        commit = engine.completer.submit
        failures = itertools.count()

        def failing(exchange: Any) -> Any:
            if next(failures) == 0:
                raise RuntimeError("the engine breaks between the events and the step's commit")
            return commit(exchange)

        object.__setattr__(engine.completer, "submit", failing)
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    assert len(http.received) == 3
    assert await world.value("select count(*) from stepwell.event") == 1


async def test_an_answer_that_is_refused_sends_no_events(world: World, database_url: str) -> None:
    gate = asyncio.Event()

    async def sender(call: Json) -> Sequence[Json]:
        await gate.wait()
        return [{"op": "sendEvent", "id": "tell", "events": [{"name": "told", "data": 1}]}]

    async with serving(version_2(KEY, work=sender)) as http, running(database_url) as engine:
        app = await declared(world, http)
        run_id = await world.start(app)
        await world.reached(run_id, "executing")
        await world.journal.control.cancel(run_id)
        gate.set()
        await idle(engine)
    assert await world.value("select count(*) from stepwell.event") == 0


# Calls of unknown outcome


async def test_a_call_of_unknown_outcome_is_not_repeated_before_its_start_by(world: World, database_url: str) -> None:
    async with serving(version_2(KEY, work=lambda call: Reply(raw=b""))) as http, running(database_url):
        app = await declared(world, http)
        run_id = await world.start(app)
        await world.until("select reason = 'EndpointUnreachable' from stepwell.run")
    start_by = datetime.fromtimestamp(calls(http)[0]["call"]["startBy"] / 1000, UTC)
    job = await world.job(run_id)
    assert job is not None
    assert job["due"] > start_by


async def test_an_app_that_refuses_a_late_call_is_called_again_without_losing_an_attempt(
    world: World, database_url: str
) -> None:
    refusals = iter([b'{"refused":"late"}'])

    def handler(call: Json) -> Sequence[Json] | Reply:
        refused = next(refusals, None)
        if refused is None:
            return [done()]
        return Reply(status=409, body=refused, headers={"stepwell-signature": sign_timed(refused, KEY)})

    async with serving(version_2(KEY, work=handler)) as http, running(database_url) as engine:
        app = await declared(world, http, retries={"maxAttempts": 1})
        run_id = await world.start(app)
        await world.until("select reason = 'EndpointUnreachable' from stepwell.run")
        await hurry(world, engine)
        assert (await world.ended(run_id))["status"] == "completed"


@pytest.mark.parametrize("off", [-30.0, 30.0], ids=["behind", "ahead"])
async def test_an_app_whose_clock_is_wrong_is_not_called_until_it_is_right(
    world: World, database_url: str, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    monkeypatch.setattr("stepwell_engine.transport.app_clocks._AGAIN", 0.2)
    clock = {"off": off}
    asked = asyncio.Event()

    def said(body: Json) -> Reply:
        raw = json.dumps({**body, "time": int((time.time() + clock["off"]) * 1000)}).encode()
        return Reply(body=raw, headers={"stepwell-signature": sign_timed(raw, KEY)})

    async def answer(request: Received) -> Reply:
        assert verified(request, KEY)
        if request.method == "GET":
            asked.set()
            return said({"app": "shop", "protocol": 2})
        call = request.json
        ops = [done()] if call["steps"] else [step("a", 1)]
        return said({"token": call["call"]["token"], "seq": call["call"]["seq"], "ops": ops})

    async with serving(answer) as http, running(database_url) as engine:
        app = await declared(world, http)
        run_id = await world.start(app)
        await world.until("select reason = 'ClockSkewed' from stepwell.run")
        assert await world.told(run_id) == [("step_completed", "a")], "what it answered counts"
        while not asked.is_set():
            await hurry(world, engine)
            await asyncio.sleep(0.05)
        clock["off"] = 0.0
        while (await world.run(run_id))["status"] == "active":
            await hurry(world, engine)
            await asyncio.sleep(0.05)
        assert (await world.run(run_id))["status"] == "completed"
    assert [request.method for request in http.received].count("POST") == 2


async def test_a_409_that_nobody_signed_is_an_answer_like_any_other(world: World, database_url: str) -> None:
    async with (
        serving(version_2(KEY, work=lambda call: Reply(status=409, body=b'{"refused":"late"}'))) as http,
        running(database_url),
    ):
        app = await declared(world, http, retries={"maxAttempts": 1})
        assert (await world.ended(await world.start(app)))["reason"] == "HttpError"


async def test_results_wait_for_postgres_and_are_taken_when_it_is_back(world: World, database_url: str) -> None:
    def handler(call: Json) -> Sequence[Json]:
        return [done()] if call["steps"] else [step("a", 1)]

    async with serving(version_2(KEY, work=handler)) as http, running(database_url) as engine:
        app = await declared(world, http)
        complete = engine.journal.queue.complete
        outages = itertools.count()

        async def away(exchanges: Any) -> Any:
            held = await complete(exchanges) if next(outages) % 2 else None
            if held is not None and next(outages) > 4:
                return held
            raise Unavailable("the connection broke around the commit")

        engine.journal.queue.complete = away  # type: ignore[method-assign]
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    assert [name for _, name in await world.told(run_id) if name] == ["a"]
    assert len(http.received) == 2


# Checkpoints


class Reporting:
    """A handler that reports its steps while its call is open. `say` sends the next report and gives its answer."""

    def __init__(self, call: Json) -> None:
        self.call = call
        self.seq = call["call"]["seq"]
        self.answers: list[Any] = []

    def item(self, *ops: Json, **other: Any) -> Json:
        terms = self.call["call"]
        item = {"runId": self.call["runId"], "token": terms["token"], "seq": self.seq, "ops": list(ops)}
        return {**item, **other}

    async def post(self, *items: Json, app: str, key: str = KEY) -> list[Any]:
        raw = json.dumps(items).encode()
        headers = {"x-durable-app": app, "stepwell-signature": sign_timed(raw, key)}
        async with httpx.AsyncClient(timeout=20) as client:
            answer = await client.post(self.call["checkpoint"]["url"], content=raw, headers=headers)
        assert answer.status_code == 200, answer.text
        replies: list[Any] = answer.json()
        self.answers += replies
        return replies

    async def say(self, *ops: Json, app: str) -> Any:
        (reply,) = await self.post(self.item(*ops), app=app)
        self.seq += "go" in reply
        return reply

    def last(self, *ops: Json) -> Reply:
        return answer_to(self.call, ops, KEY, seq=self.seq)


async def test_a_reported_step_is_committed_before_the_handler_goes_on(world: World, database_url: str) -> None:
    committed: list[int] = []
    app_id = ""
    replies: list[Any] = []

    async def handler(call: Json) -> Reply:
        reporting = Reporting(call)
        for n in range(3):
            replies.append(await reporting.say(step(f"s{n}", n), app=app_id))
            committed.append(await world.value("select count(*) from stepwell.journal"))
        return reporting.last(done())

    async with serving(version_2(KEY, work=handler)) as http, serving_gateway(database_url):
        app = await declared(world, http)
        app_id = app.id
        run_id = await world.start(app)
        run = await world.ended(run_id)
    assert (run["status"], len(http.received), committed) == ("completed", 1, [1, 2, 3])
    assert [(row["step"], row["seq"]) for row in await world.entries(run_id)] == [
        ("s0", 1),
        ("s1", 2),
        ("s2", 3),
        (None, 4),
    ]
    assert all(reply["go"]["endBy"] > reply["go"]["startBy"] > time.time() * 1000 - 20_000 for reply in replies)


async def test_a_report_that_is_sent_again_is_answered_as_it_was_and_journaled_once(
    world: World, database_url: str
) -> None:
    app_id = ""
    answers: list[Any] = []

    async def handler(call: Json) -> Reply:
        reporting = Reporting(call)
        item = reporting.item(step("a", 1))
        for _ in range(3):
            answers.extend(await reporting.post(item, app=app_id))
        reporting.seq += 1
        return reporting.last(done())

    async with serving(version_2(KEY, work=handler)) as http, serving_gateway(database_url):
        app = await declared(world, http)
        app_id = app.id
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    assert answers[0] == answers[1] == answers[2]
    assert await world.told(run_id) == [("step_completed", "a"), ("run_completed", None)]


async def test_a_report_that_is_sent_again_before_it_was_answered_gets_the_same_answer(
    world: World, database_url: str
) -> None:
    app_id = ""
    answers: list[Any] = []

    async def handler(call: Json) -> Reply:
        reporting = Reporting(call)
        tell = {"op": "sendEvent", "id": "tell", "events": [{"name": "told", "data": 1}]}
        item = reporting.item(tell, step("a", 1))
        answers.extend(await asyncio.gather(*[reporting.post(item, app=app_id) for _ in range(5)]))
        reporting.seq += 1
        return reporting.last(done())

    async with serving(version_2(KEY, work=handler)) as http, serving_gateway(database_url):
        app = await declared(world, http)
        app_id = app.id
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    assert all("go" in answer[0] for answer in answers)
    assert all(answer == answers[0] for answer in answers)
    assert [step for _, step in await world.told(run_id)] == ["tell", "a", None]


async def test_reports_that_are_not_of_this_call_are_told_to_stop_and_leave_no_trace(
    world: World, database_url: str
) -> None:
    app_id = other_id = ""
    answers: dict[str, Any] = {}

    async def handler(call: Json) -> Reply:
        reporting = Reporting(call)
        terms = call["call"]
        forged = step("forged", 1)
        for what, item in {
            "an old token": reporting.item(forged, token=terms["token"] - 1),
            "a later number": reporting.item(forged, seq=terms["seq"] + 1),
            "another run": reporting.item(forged, runId=str(UUID(int=7))),
            "no run at all": reporting.item(forged, runId="nonsense"),
        }.items():
            answers[what] = (await reporting.post(item, app=app_id))[0]
        answers["another app"] = (await reporting.post(reporting.item(forged), app=other_id, key="their key"))[0]
        return reporting.last(done())

    async with serving(version_2(KEY, work=handler)) as http, serving_gateway(database_url):
        app = await declared(world, http)
        app_id, other_id = app.id, (await world.app("other", signing_keys=("their key",))).id
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    assert len(answers) == 5
    assert all(set(answer) == {"stop"} for answer in answers.values()), answers
    assert await world.told(run_id) == [("run_completed", None)]


async def reported_once(world: World, database_url: str, *ops: Json, before: Any = None, then: str) -> tuple[UUID, Any]:
    """One run whose handler makes one report and ends its call with nothing, as an SDK does that was told to stop."""
    app_id = ""
    reply: Any = None

    async def handler(call: Json) -> Reply:
        nonlocal reply
        reporting = Reporting(call)
        if before is not None:
            await before(UUID(call["runId"]))
        reply = await reporting.say(*ops, app=app_id)
        return reporting.last()

    async with serving(version_2(KEY, work=handler)) as http, serving_gateway(database_url) as stand:
        app = await declared(world, http)
        app_id = app.id
        run_id = await world.start(app)
        await world.reached(run_id, then)
        await idle(stand.engine)
        assert len(http.received) == 1
    return run_id, reply


async def test_a_report_that_ends_in_a_wait_is_told_to_stop(world: World, database_url: str) -> None:
    wait = {"op": "wait", "id": "approve", "event": "approved", "match": None, "until": None}
    run_id, reply = await reported_once(world, database_url, wait, then="waiting")
    assert set(reply) == {"stop"}
    assert await world.told(run_id) == [("wait_started", "approve")]


async def test_a_report_that_fails_a_step_is_told_to_stop_until_the_backoff_is_over(
    world: World, database_url: str
) -> None:
    run_id, reply = await reported_once(world, database_url, fail("mail", retryAfter=3600), then="sleeping")
    assert set(reply) == {"stop"}
    assert await world.told(run_id) == [("attempt_failed", "mail")]


async def test_a_report_after_a_cancel_is_told_to_stop_and_leaves_no_trace(world: World, database_url: str) -> None:
    run_id, reply = await reported_once(
        world, database_url, step("late", 1), before=world.journal.control.cancel, then="cancelled"
    )
    assert set(reply) == {"stop"}
    assert await world.told(run_id) == [("run_cancelled", None)]


async def test_a_report_that_says_what_can_not_be_fails_the_run(world: World, database_url: str) -> None:
    run_id, reply = await reported_once(world, database_url, step("a", 1), step("a", 2), then="failed")
    assert set(reply) == {"stop"}
    assert (await world.run(run_id))["reason"] == "IllegalAnswer"


async def test_what_others_resolved_meanwhile_comes_with_the_go(world: World, database_url: str) -> None:
    app_id = ""
    replies: list[Any] = []

    async def handler(call: Json) -> Reply:
        if "approve" in call["steps"]:
            return answer_to(call, [done()], KEY)
        reporting = Reporting(call)
        wait = {"op": "wait", "id": "approve", "event": "approved", "match": None, "until": None}
        replies.append(await reporting.say(step("ask", 1), wait, app=app_id))
        await world.journal.intake.accept_events([_event(app_id)])
        await world.until("select count(*) = 1 from stepwell.wait where resolved_at is not null")
        replies.append(await reporting.say(step("tell", 2), app=app_id))
        return reporting.last(done())

    async with serving(version_2(KEY, work=handler)) as http, serving_gateway(database_url):
        app = await declared(world, http)
        app_id = app.id
        run_id = await world.start(app)
        assert (await world.ended(run_id))["status"] == "completed"
    assert "steps" not in replies[0]["go"]
    assert set(replies[1]["go"]["steps"]) == {"approve"}
    assert replies[1]["go"]["steps"]["approve"]["data"]["name"] == "approved"
    assert len(http.received) == 1


async def test_reports_of_several_runs_are_answered_in_their_order(world: World, database_url: str) -> None:
    app_id = ""
    open_calls: list[Reporting] = []
    both = asyncio.Event()
    replies: list[Any] = []

    async def handler(call: Json) -> Reply:
        reporting = Reporting(call)
        open_calls.append(reporting)
        if len(open_calls) == 2:
            items = [each.item(step("a", n)) for n, each in enumerate(open_calls)]
            items.insert(1, open_calls[0].item(step("x", 1), runId=str(UUID(int=7))))
            replies.extend(await reporting.post(*items, app=app_id))
            for each in open_calls:
                each.seq += 1
            both.set()
        async with asyncio.timeout(10):
            await both.wait()
        return reporting.last(done())

    async with serving(version_2(KEY, work=handler)) as http, serving_gateway(database_url):
        app = await declared(world, http)
        app_id = app.id
        for run_id in [await world.start(app) for _ in range(2)]:
            assert (await world.ended(run_id))["status"] == "completed"
    assert [set(reply) for reply in replies] == [{"go"}, {"stop"}, {"go"}]


async def test_each_report_gives_its_call_the_whole_step_time_again(world: World, database_url: str) -> None:
    app_id = ""

    async def handler(call: Json) -> Reply:
        reporting = Reporting(call)
        for n in range(4):
            await asyncio.sleep(0.2)
            assert "go" in await reporting.say(step(f"s{n}", n), app=app_id)
        return reporting.last(done())

    async with serving(version_2(KEY, work=handler)) as http, serving_gateway(database_url):
        app = await declared(world, http, timeouts={"step": "600ms"}, retries={"maxAttempts": 1})
        app_id = app.id
        assert (await world.ended(await world.start(app)))["status"] == "completed"


def _event(app_id: str) -> NewEvent:
    return NewEvent(app_id=app_id, name="approved", data=b"1")
