"""Workflows through the whole engine: declared steps, calls side by side, undoing, and engines that die in between."""

import asyncio
import itertools
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from integration.apps import HttpApp, Json, Received, Reply, serving, step, version_2
from integration.stand import hurry, running
from integration.world import KEY, World
from stepwell_engine.model import App, Kind

QUICK = {"maxAttempts": 3, "backoff": {"type": "Constant", "initial": "10ms", "max": "10ms"}}

Handler = Callable[[Any], Any]


class Shop:
    """Workflow handlers by name: each gets its step's input and returns the result, or raises `Problem`."""

    def __init__(self, **handlers: Handler) -> None:
        self.handlers = handlers
        self.called: list[str] = []
        self.calls: list[Json] = []
        self._reached: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def answering(self) -> Callable[[Received], Awaitable[Reply]]:
        return version_2(KEY, **dict.fromkeys(self.handlers, self._answer))

    async def reached(self, step: str) -> None:
        """Once the step has been called."""
        async with asyncio.timeout(15):
            await self._reached[step].wait()

    async def _answer(self, call: Json) -> Sequence[Json] | Reply:
        told = call["step"]
        self.called.append(told["id"])
        self.calls.append(call)
        self._reached[told["id"]].set()
        try:
            result = self.handlers[told["handler"].replace("-", "_")](told["input"])
            if isinstance(result, Awaitable):
                result = await result
        except Problem as problem:
            return [{"op": "fail", "id": told["id"], "error": problem.error}]
        return result if isinstance(result, Reply) else [step(told["id"], result)]


class Problem(Exception):
    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.error = {"name": "Problem", "message": message, "retryable": retryable}


def failing(message: str = "no stock", *, retryable: bool = False) -> Handler:
    def handler(given: Any) -> Any:
        raise Problem(message, retryable=retryable)

    return handler


def call(name: str, *, undo: str | None = None, given: Json | None = None, **more: Any) -> Json:
    undoing = {} if undo is None else {"compensate": {"call": {"handler": undo}}}
    work = {} if given is None else {"with": given}
    return {"name": name, "call": {"handler": name}, "retries": QUICK, **undoing, **work, **more}


async def declared(world: World, http: HttpApp, *steps: Json, **document: Any) -> App:
    app = await world.app(url=http.url, protocol=2)
    await world.workflow(app, steps=list(steps), **{"retries": QUICK, **document})
    return app


async def begun(world: World, app: App, input: object = None) -> UUID:
    return await world.start(app, "flow", kind=Kind.WORKFLOW, input=input)


@asynccontextmanager
async def shop(world: World, database_url: str, handlers: Mapping[str, Handler], *steps: Json, **document: Any) -> Any:
    """(shop, app, engine) at work."""
    here = Shop(**handlers)
    async with serving(here.answering()) as http, running(database_url) as engine:
        yield here, await declared(world, http, *steps, **document), engine


async def test_steps_run_one_after_another_and_hand_on_their_results(world: World, database_url: str) -> None:
    handlers = {"reserve": lambda given: {"id": given["order"]}, "pay": lambda given: given["sum"] * 2}
    steps = (
        call("reserve", given={"order": "${{ input.orderId }}"}),
        call("pay", given={"sum": "${{ input.total }}", "ref": "${{ steps.reserve.output.id }}"}),
    )
    output = {"paid": "${{ steps.pay.output }}", "for": "${{ steps.reserve.output.id }}"}
    async with shop(world, database_url, handlers, *steps, output=output) as (here, app, _):
        run = await world.ended(await begun(world, app, {"orderId": "o1", "total": 21}))
    assert json.loads(run["output"]) == {"paid": 42, "for": "o1"}
    assert [told["step"] for told in here.calls] == [
        {"id": "reserve", "handler": "reserve", "attempt": 1, "input": {"order": "o1"}},
        {"id": "pay", "handler": "pay", "attempt": 1, "input": {"sum": 21, "ref": "o1"}},
    ]
    assert here.calls[1]["results"] == {"reserve": {"id": "o1"}}
    assert here.calls[0]["workflow"] == "flow"


async def test_parallel_steps_are_called_side_by_side(world: World, database_url: str) -> None:
    both = asyncio.Barrier(2)

    async def meet(given: Any) -> int:
        async with asyncio.timeout(10):
            await both.wait()
        return 1

    tell = {"name": "tell", "parallel": [call("mail"), call("sms")]}
    async with shop(world, database_url, {"mail": meet, "sms": meet, "after": lambda _: 1}, tell, call("after")) as (
        here,
        app,
        _,
    ):
        run = await world.ended(await begun(world, app))
    assert run["status"] == "completed"
    assert here.called[2] == "after"
    assert sorted(here.called[:2]) == ["mail", "sms"]


async def test_a_failing_branch_is_tried_again_while_its_sibling_is_done_once(world: World, database_url: str) -> None:
    tries = itertools.count(1)

    def flaky(given: Any) -> int:
        if next(tries) < 3:
            raise Problem("not yet", retryable=True)
        return 1

    tell = {"name": "tell", "parallel": [call("mail"), call("sms")]}
    async with shop(world, database_url, {"mail": flaky, "sms": lambda _: 1}, tell) as (here, app, _):
        run_id = await begun(world, app)
        assert (await world.ended(run_id))["status"] == "completed"
    assert (here.called.count("mail"), here.called.count("sms")) == (3, 1)
    assert [told["step"]["attempt"] for told in here.calls if told["step"]["id"] == "mail"] == [1, 2, 3]


async def test_a_sleep_and_a_wait_are_steps(world: World, database_url: str) -> None:
    steps = (
        {"name": "cool", "sleep": {"for": "100ms"}},
        {
            "name": "approve",
            "waitForEvent": {"event": "approved", "match": {"orderId": "${{ input.orderId }}"}, "timeout": "1h"},
        },
    )
    output = "${{ steps.approve.output.data.by }}"
    async with shop(world, database_url, {}, *steps, output=output) as (_, app, _engine):
        run_id = await begun(world, app, {"orderId": "o1"})
        await world.reached(run_id, "sleeping")
        await world.reached(run_id, "waiting")
        await world.send(app, ("approved", {"orderId": "o2"}), ("approved", {"orderId": "o1", "by": "ada"}))
        run = await world.ended(run_id)
    assert run["output"] == b'"ada"'
    assert await world.told(run_id) == [
        ("wait_started", "cool"),
        ("wait_completed", "cool"),
        ("wait_started", "approve"),
        ("wait_completed", "approve"),
        ("run_completed", None),
    ]


async def test_a_wait_that_times_out_gives_null(world: World, database_url: str) -> None:
    wait = {"name": "approve", "waitForEvent": {"event": "approved", "timeout": "100ms"}}
    async with shop(world, database_url, {}, wait, output={"by": "${{ steps.approve.output }}"}) as (_, app, _engine):
        run = await world.ended(await begun(world, app))
    assert json.loads(run["output"]) == {"by": None}


async def test_an_http_step_asks_another_service_and_sends_its_idempotency_key(world: World, database_url: str) -> None:
    answers = iter([Reply(status=500), Reply(status=503), Reply(status=200, body=b'{"ok": true}')])

    async def audit(request: Received) -> Reply:
        return next(answers)

    async with serving(audit) as other:
        http = {"url": other.url, "method": "PUT", "headers": {"x-order": "${{ input.orderId }}"}, "body": {"a": 1}}
        ask = {"name": "audit", "http": http, "retries": QUICK}
        async with shop(world, database_url, {}, ask, output="${{ steps.audit.output }}") as (_, app, engine):
            run_id = await begun(world, app, {"orderId": "o1"})
            await world.until("select reason = 'EndpointUnreachable' from stepwell.run")
            await hurry(world, engine)
            run = await world.ended(run_id)
    assert json.loads(run["output"]) == {"status": 200, "body": {"ok": True}}
    assert {request.headers["idempotency-key"] for request in other.received} == {f"{run_id}/audit"}
    assert {(r.method, r.headers["x-order"], r.body) for r in other.received} == {("PUT", "o1", b'{"a":1}')}
    assert "x-durable-signature" not in other.received[0].headers


async def test_an_http_step_heeds_the_statuses_it_expects(world: World, database_url: str) -> None:
    async def teapot(request: Received) -> Reply:
        return Reply(status=418)

    async with serving(teapot) as other:
        wanted = {"name": "ask", "http": {"url": other.url, "method": "GET", "expect": [418]}}
        other_than = {"name": "more", "http": {"url": other.url, "method": "GET"}, "retries": {"maxAttempts": 1}}
        async with shop(world, database_url, {}, wanted, other_than) as (_, app, _engine):
            run = await world.ended(await begun(world, app))
    error = json.loads(run["error"])
    assert (run["status"], error["step"]) == ("failed", "more")
    assert "answered HTTP 418; expected any 2xx" in error["message"]


# Undoing


UNDO = {"unreserve": lambda given: None, "refund": lambda given: None}
ORDER = (call("reserve", undo="unreserve"), call("pay", undo="refund"), call("ship"))


async def test_a_failed_workflow_undoes_its_steps_the_latest_first(world: World, database_url: str) -> None:
    handlers = {"reserve": lambda given: "r1", "pay": lambda given: "p1", "ship": failing(), **UNDO}
    async with shop(world, database_url, handlers, *ORDER) as (here, app, _):
        run_id = await begun(world, app, {"orderId": "o1"})
        run = await world.ended(run_id)
    assert here.called == ["reserve", "pay", "ship", "compensate:pay", "compensate:reserve"]
    assert here.calls[-2]["step"]["input"] == {"input": {"orderId": "o1"}, "output": "p1"}
    error = json.loads(run["error"])
    assert (run["status"], error["message"], error["step"]) == ("failed", "no stock", "ship")
    assert "notCompensated" not in error
    assert ("compensation_started", None) in await world.told(run_id)


async def test_a_compensation_is_tried_again_and_one_that_fails_for_good_is_named(
    world: World, database_url: str
) -> None:
    tries = itertools.count(1)

    def flaky(given: Any) -> None:
        if next(tries) < 3:
            raise Problem("not yet", retryable=True)

    handlers = {"reserve": lambda _: 1, "pay": lambda _: 1, "ship": failing(), "refund": flaky}
    handlers["unreserve"] = failing("gone")
    async with shop(world, database_url, handlers, *ORDER) as (here, app, _):
        run = await world.ended(await begun(world, app))
    assert here.called.count("compensate:pay") == 3
    assert json.loads(run["error"])["notCompensated"] == [{"step": "reserve", "message": "gone"}]


async def test_a_step_that_timed_out_may_have_happened_and_is_undone_too(world: World, database_url: str) -> None:
    async def hanging(given: Any) -> None:
        await asyncio.sleep(60)

    handlers = {"reserve": lambda _: 1, "pay": hanging, "ship": lambda _: 1, **UNDO}
    steps = (ORDER[0], {**ORDER[1], "timeout": "150ms", "retries": {"maxAttempts": 1}}, ORDER[2])
    async with shop(world, database_url, handlers, *steps) as (here, app, _):
        run = await world.ended(await begun(world, app))
    assert run["reason"] == "StepTimedOut"
    assert here.called == ["reserve", "pay", "compensate:pay", "compensate:reserve"]


async def test_a_cancelled_workflow_undoes_its_steps_and_is_cancelled(world: World, database_url: str) -> None:
    wait = {"name": "approve", "waitForEvent": {"event": "approved"}}
    async with shop(world, database_url, {"reserve": lambda _: 1, **UNDO}, ORDER[0], wait) as (here, app, engine):
        run_id = await begun(world, app)
        await world.reached(run_id, "waiting")
        assert await world.journal.control.cancel(run_id) == "compensating"
        engine.worker.poke()
        run = await world.ended(run_id)
    assert (run["status"], run["reason"]) == ("cancelled", "Cancelled")
    assert here.called == ["reserve", "compensate:reserve"]
    assert await world.waits(run_id) == []


async def test_a_cancel_during_parallel_calls_lets_them_end_and_then_undoes_them(
    world: World, database_url: str
) -> None:
    under_way, gate = asyncio.Event(), asyncio.Event()

    async def slow(given: Any) -> str:
        under_way.set()
        async with asyncio.timeout(10):
            await gate.wait()
        return "done all the same"

    both = {"name": "both", "parallel": [call("reserve", undo="unreserve"), call("pay", undo="refund")]}
    handlers = {"reserve": lambda _: 1, "pay": slow, "ship": lambda _: 1, **UNDO}
    async with shop(world, database_url, handlers, both, call("ship")) as (here, app, _):
        run_id = await begun(world, app)
        await under_way.wait()
        await world.until("select count(*) = 1 from stepwell.journal where step = 'reserve'")
        await world.journal.control.cancel(run_id)
        gate.set()
        run = await world.ended(run_id)
    assert run["status"] == "cancelled"
    assert "ship" not in here.called
    assert here.called[-2:] == ["compensate:pay", "compensate:reserve"]


async def test_a_workflow_over_its_time_undoes_its_steps_and_fails(world: World, database_url: str) -> None:
    wait = {"name": "approve", "waitForEvent": {"event": "approved"}}
    handlers = {"reserve": lambda _: 1, **UNDO}
    async with shop(world, database_url, handlers, ORDER[0], wait, timeouts={"run": "1h"}) as (here, app, _):
        run_id = await begun(world, app)
        await world.reached(run_id, "waiting")
        await world.sql("update stepwell.run set deadline = now() - interval '1 s'")
        run = await world.ended(run_id)
    assert (run["status"], run["reason"]) == ("failed", "RunTimedOut")
    assert here.called == ["reserve", "compensate:reserve"]


async def test_a_workflow_cancelled_in_time_stays_cancelled_though_its_undoing_takes_longer(
    world: World, database_url: str
) -> None:
    """The undoing backs off, so that it goes on under another lease: the deadline has passed by then."""
    refunds = itertools.count()

    async def refund(given: Any) -> None:
        if next(refunds) == 0:
            await world.sql("update stepwell.run set deadline = now() - interval '1 s' where deadline is not null")
            raise Problem("not yet", retryable=True)

    wait = {"name": "approve", "waitForEvent": {"event": "approved"}}
    handlers = {"reserve": lambda _: 1, "pay": lambda _: 1, "unreserve": lambda _: 1, "refund": refund}
    async with shop(world, database_url, handlers, *ORDER[:2], wait, timeouts={"run": "1h"}) as (_here, app, engine):
        run_id = await begun(world, app)
        await world.reached(run_id, "waiting")
        await world.journal.control.cancel(run_id)
        engine.worker.poke()
        run = await world.ended(run_id)
    assert (run["status"], run["reason"]) == ("cancelled", "Cancelled")


# Dying in between


async def test_a_step_whose_result_was_lost_is_called_again_by_the_next_engine_under_the_same_name(
    world: World, database_url: str
) -> None:
    """One engine breaks after each call and before its commit, until another takes over: completed steps stay done, in
    the way forward as in the way back."""
    here = Shop(reserve=lambda _: "r", pay=lambda _: "p", ship=failing(), **UNDO)
    async with serving(here.answering()) as http:
        app = await declared(world, http, *ORDER)
        run_id = await begun(world, app)
        for breaks_at in ("reserve", "pay", "ship", "compensate:pay", "compensate:reserve"):
            async with running(database_url, lease=timedelta(seconds=1)) as engine:
                commit = engine.completer.submit

                def broken(exchange: Any, at: str = breaks_at, commit: Any = commit) -> Any:
                    settled = ("step_completed", "step_failed")
                    if any(entry.step == at and entry.entry in settled for entry in exchange.entries):
                        raise RuntimeError("the engine dies between call and commit")
                    return commit(exchange)

                engine.worker.tools.completer.__dict__["submit"] = broken
                engine.worker.poke()
                await here.reached(breaks_at)
                await world.sql("update stepwell.job set lease_until = now() where owner is not null")
        async with running(database_url):
            run = await world.ended(run_id)
    assert run["status"] == "failed"
    finished = [str(step) for entry, step in await world.told(run_id) if entry in ("step_completed", "step_failed")]
    assert finished == ["reserve", "pay", "ship", "compensate:pay", "compensate:reserve"]
    keys = {(told["runId"], told["step"]["id"]) for told in here.calls}
    assert len(keys) == 5
    assert {name: here.called.count(name) for name in finished} == dict.fromkeys(finished, 2)


async def test_a_workflow_that_compensates_goes_on_compensating_under_another_engine(
    world: World, database_url: str
) -> None:
    gate = asyncio.Event()

    async def slow(given: Any) -> None:
        async with asyncio.timeout(10):
            await gate.wait()

    here = Shop(reserve=lambda _: "r", pay=lambda _: "p", ship=failing(), refund=slow, unreserve=lambda _: None)
    async with serving(here.answering()) as http:
        app = await declared(world, http, *ORDER)
        async with running(database_url, drain=timedelta(0)):
            run_id = await begun(world, app)
            await world.reached(run_id, "compensating")
            await here.reached("compensate:pay")
        gate.set()
        assert (await world.job(run_id) or {}).get("owner") is None
        async with running(database_url):
            assert (await world.ended(run_id))["status"] == "failed"
    assert here.called == ["reserve", "pay", "ship", "compensate:pay", "compensate:pay", "compensate:reserve"]


async def test_an_app_that_is_away_delays_its_steps_and_uses_no_attempt(world: World, database_url: str) -> None:
    here = Shop(reserve=lambda _: 1)
    async with serving(here.answering()) as http, running(database_url) as engine:
        app = await declared(world, http, call("reserve", retries={"maxAttempts": 1}))
        await http.close()
        run_id = await begun(world, app)
        await world.until("select reason = 'EndpointUnreachable' from stepwell.run")
        assert await world.state(run_id) == "queued"
        await http.listen()
        await hurry(world, engine)
        assert (await world.ended(run_id))["status"] == "completed"


async def test_a_branch_whose_service_is_away_does_not_keep_the_other_from_being_journaled(
    world: World, database_url: str
) -> None:
    away = {"name": "audit", "http": {"url": "http://127.0.0.1:9/", "method": "POST", "body": {}}}
    both = {"name": "both", "parallel": [call("mail"), away]}
    async with shop(world, database_url, {"mail": lambda _: 1}, both) as (here, app, engine):
        run_id = await begun(world, app)
        for _ in range(3):
            await world.until("select reason = 'EndpointUnreachable' from stepwell.run")
            await world.sql("update stepwell.run set reason = null")
            await hurry(world, engine)
        assert [step for entry, step in await world.told(run_id)] == ["mail"]
    assert here.called == ["mail"]


async def test_an_app_of_version_1_can_not_run_workflow_steps_and_the_run_waits_for_one_that_can(
    world: World, database_url: str
) -> None:
    here = Shop(reserve=lambda _: 1)
    async with serving(here.answering()) as http, running(database_url) as engine:
        app = await world.app(url=http.url, protocol=1)
        await world.workflow(app, steps=[call("reserve")])
        run_id = await begun(world, app)
        await world.until("select reason = 'EndpointUnreachable' from stepwell.run")
        assert here.called == []
        await world.app(url=http.url, protocol=2)
        await world.function(app, "touch")
        await hurry(world, engine)
        assert (await world.ended(run_id))["status"] == "completed"


async def test_an_expression_that_fails_on_the_data_fails_its_step_and_names_the_place(
    world: World, database_url: str
) -> None:
    steps = (call("reserve", given={"id": "${{ input.order.id }}"}),)
    async with shop(world, database_url, {"reserve": lambda _: 1}, *steps) as (here, app, _):
        run = await world.ended(await begun(world, app, {"n": 1}))
    error = json.loads(run["error"])
    assert (run["status"], here.called, error["step"]) == ("failed", [], "reserve")
    assert "steps[0].with.id" in error["message"]


async def test_input_that_does_not_fit_the_schema_fails_the_run_before_any_call(
    world: World, database_url: str
) -> None:
    schema = {"type": "object", "required": ["orderId"]}
    async with shop(world, database_url, {"reserve": lambda _: 1}, call("reserve"), input={"schema": schema}) as (
        here,
        app,
        _,
    ):
        run = await world.ended(await begun(world, app, {"n": 1}))
    assert (run["status"], run["reason"], here.called) == ("failed", "InvalidInput", [])


async def test_a_handler_that_answers_for_another_step_uses_an_attempt(world: World, database_url: str) -> None:
    async with (
        serving(version_2(KEY, reserve=lambda call: [step("another", 1)])) as http,
        running(database_url),
    ):
        app = await declared(world, http, call("reserve", retries={"maxAttempts": 1}))
        run = await world.ended(await begun(world, app))
    assert run["reason"] == "IllegalAnswer"
    assert "must be one `step`, `fail` or `error` for it" in json.loads(run["error"])["message"]
