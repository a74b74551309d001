"""What an app accepts from the engine, what it refuses, and how calls end from outside."""

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import App, Step, SyncStep
from stepwell.endpoint import Reply, Request
from stepwell.turn import CheckpointLost
from stepwell_protocol import wire
from stepwell_protocol.signing import sign_v1, sign_v2, verify_v2

KEY = "sk_test"
NOW = 1_783_242_000.0
MS = int(NOW * 1000)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(clock: Clock) -> App:
    return App("test", signing_key=KEY, app_id="app", now=clock)


def body(
    function: str = "f", *, seq: int = 1, start_by: int = MS + 5000, end_by: int = MS + 30_000, **more: Any
) -> bytes:
    call = wire.Call(7, seq, start_by, end_by, 1000)
    return wire.encode_invoke(
        "r1",
        function_id=function,
        event=wire.encode_event("e1", name="x", data=b"null"),
        entries=more.pop("entries", ()),
        terms=wire.Terms(call, revision=1, **more),
    )


def signed(
    raw: bytes, *, method: str = "POST", at: float = NOW, gone: Callable[[], Awaitable[None]] | None = None
) -> Request:
    return Request(method, {b"stepwell-signature": sign_v2(raw, KEY, now=at).encode()}, raw, gone)


def ops_of(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body
    verify_v2(reply.body, dict(reply.headers)["stepwell-signature"], [KEY], now=NOW + 60, tolerance=400)
    return list(json.loads(reply.body)["ops"])


@contextlib.contextmanager
def silent() -> Iterator[None]:
    logger = logging.getLogger("stepwell")
    logger.disabled = True
    yield
    logger.disabled = False


def add_counter(app: App) -> list[int]:
    did: list[int] = []

    @app.function("f")
    async def function(step: Step) -> int:
        await step.run("count", did.append, 1)
        return len(did)

    return did


async def test_a_call_runs_once(app: App) -> None:
    did = add_counter(app)
    first, second = await app.endpoint.answer(signed(body())), await app.endpoint.answer(signed(body()))
    assert ops_of(first)[0]["op"] == "step"
    assert (second.status, second.body) == (409, b'{"refused":"repeated"}')
    verify_v2(second.body, dict(second.headers)["stepwell-signature"], [KEY], now=NOW)
    assert did == [1]


async def test_two_copies_at_the_same_time_run_once(app: App) -> None:
    did = add_counter(app)
    replies = await asyncio.gather(*(app.endpoint.answer(signed(body())) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409]
    assert did == [1]


async def test_a_late_call_runs_nothing(app: App, clock: Clock) -> None:
    did = add_counter(app)
    clock.now += 5.001
    reply = await app.endpoint.answer(signed(body()))
    assert (reply.status, reply.body) == (409, b'{"refused":"late"}')
    assert did == []


async def test_a_handler_that_is_slow_to_its_step_says_so(app: App, clock: Clock) -> None:
    @app.function("f")
    async def function(step: Step) -> int:
        clock.now += 6
        return await step.run("late", lambda: pytest.fail("it started"))

    (op,) = ops_of(await app.endpoint.answer(signed(body())))
    assert (op["op"], op["id"], op["error"]["name"]) == ("fail", "late", "StartedTooLate")
    assert "the handler took 6.0 s before it came to step 'late'" in op["error"]["message"]


async def test_a_handler_that_waited_for_a_thread_asks_for_another_call(clock: Clock) -> None:
    app = App("test", signing_key=KEY, app_id="app", now=clock, threads=1)
    gate = threading.Event()

    @app.function("first")
    def first(step: SyncStep) -> None:
        gate.wait(5)
        clock.now += 6

    @app.function("second")
    def second(step: SyncStep) -> None:
        step.run("late", lambda: pytest.fail("it started"))

    calls = [app.endpoint.answer(signed(body(name, seq=seq))) for seq, name in enumerate(("first", "second"))]
    asyncio.get_running_loop().call_later(0.05, gate.set)
    _, reply = await asyncio.gather(*calls)
    assert ops_of(reply) == [{"op": "continue"}]


async def test_steps_seen_are_forgotten_only_when_a_copy_would_be_late(app: App, clock: Clock) -> None:
    add_counter(app)
    for seq in range(1, 50):
        await app.endpoint.answer(signed(body(seq=seq)))
    assert len(app.endpoint._seen) == 49
    clock.now += 6
    await app.endpoint.answer(signed(body(seq=50, start_by=MS + 20_000)))
    assert len(app.endpoint._seen) == 1


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing or does not match"),
        ({b"x-durable-signature": b"0" * 64}, "missing or does not match"),
        ({b"x-durable-signature": b"\xe9\xff"}, "missing or does not match"),
        ({b"stepwell-signature": b"\xe9"}, "unreadable"),
        ({b"stepwell-signature": sign_v2(body(), "other", now=NOW).encode()}, "same signing key"),
        ({b"stepwell-signature": sign_v2(body(), KEY, now=NOW - 301).encode()}, "301 s old"),
        ({b"x-durable-signature": sign_v1(body(), KEY).encode()}, "must carry stepwell-signature"),
    ],
)
async def test_what_is_not_signed_as_it_must_be_is_refused(app: App, headers: dict[bytes, bytes], reason: str) -> None:
    did = add_counter(app)
    reply = await app.endpoint.answer(Request("POST", headers, body()))
    assert reply.status == 401
    assert reason in reply.body.decode()
    assert did == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b'{"runId":1}', b"\xff", b"[" * 20_000, b'{"a":NaN}'])
async def test_a_signed_body_that_is_no_call_is_refused_with_the_place(app: App, raw: bytes) -> None:
    reply = await app.endpoint.answer(signed(raw))
    assert reply.status == 400
    assert "error" in json.loads(reply.body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    change=st.dictionaries(
        st.sampled_from(
            ["runId", "functionId", "event", "steps", "call", "attempts", "pending", "checkpoint", "workflow", "step"]
        ),
        JSON,
    ),
    steps=st.dictionaries(
        st.sampled_from(["count", "count#2", "other"]), JSON | st.fixed_dictionaries({"type": JSON, "data": JSON})
    ),
)
def test_no_signed_call_brings_anything_but_an_answer(change: dict[str, Any], steps: dict[str, Any]) -> None:
    app = App("test", signing_key=KEY, app_id="app", now=lambda: NOW)
    add_counter(app)
    raw = json.dumps(json.loads(body()) | {"steps": steps} | change).encode()
    with silent():
        reply = asyncio.run(app.endpoint.answer(signed(raw)))
    assert reply.status in (200, 400, 409)
    if reply.status == 200:
        wire.decode_answer_v2(reply.body) if b'"token"' in reply.body else wire.decode_answer_v1(reply.body)


async def test_other_methods_are_refused(app: App) -> None:
    assert (await app.endpoint.answer(signed(b"", method="DELETE"))).status == 405


async def test_an_app_without_a_key_answers_nobody() -> None:
    app = App("test", url="http://127.0.0.1:9")
    request = Request("POST", {b"x-durable-signature": sign_v1(body(), "").encode()}, body())
    assert (await app.endpoint.answer(request)).status == 503


async def test_an_unknown_function_is_an_error_that_names_the_known_ones(app: App) -> None:
    add_counter(app)
    (op,) = ops_of(await app.endpoint.answer(signed(body("g"))))
    assert op["error"]["message"] == "this app has no function 'g'; it has: f"
    assert op["error"]["retryable"] is True


async def test_both_keys_are_accepted_while_they_rotate(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_SIGNING_KEY", "new")
    monkeypatch.setenv("STEPWELL_SIGNING_KEY_PREVIOUS", KEY)
    app = App("test", app_id="app", now=clock)
    add_counter(app)
    reply = await app.endpoint.answer(signed(body()))
    assert reply.status == 200
    verify_v2(reply.body, dict(reply.headers)["stepwell-signature"], ["new"], now=NOW)


async def test_a_call_whose_time_is_up_is_cancelled(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="stepwell")
    ended: list[str] = []

    @app.function("f")
    async def function(step: Step) -> None:
        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        await step.run("endless", endless)

    async with asyncio.timeout(5):
        assert ops_of(await app.endpoint.answer(signed(body(end_by=MS + 20)))) == []
    assert ended == ["cancelled"]


async def test_a_workflow_step_whose_time_is_up_has_failed(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="stepwell")

    @app.step("endless")
    async def endless(step: Step) -> None:
        await asyncio.Event().wait()

    raw = wire.encode_workflow_call(
        "r1",
        workflow="w",
        step_id="s",
        handler="endless",
        attempt=1,
        input=b"null",
        results={},
        call=wire.Call(7, 1, MS + 5000, MS + 20, 0),
    )
    async with asyncio.timeout(5):
        (op,) = ops_of(await app.endpoint.answer(signed(raw)))
    assert (op["op"], op["error"]["name"]) == ("fail", "StepTimedOut")


async def test_a_plain_handler_that_overruns_goes_no_further(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="stepwell")
    gate = threading.Event()

    @app.function("f")
    def function(step: SyncStep) -> None:
        gate.wait(5)
        step.run("never", lambda: pytest.fail("it started"))

    asyncio.get_running_loop().call_later(0.1, gate.set)
    assert ops_of(await app.endpoint.answer(signed(body(end_by=MS + 20)))) == []


async def test_a_call_is_cancelled_when_the_engine_hangs_up(app: App) -> None:
    began, hung_up = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    @app.function("f")
    async def function(step: Step) -> None:
        async def endless() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        await step.run("endless", endless)

    async def gone() -> None:
        await hung_up.wait()

    call = asyncio.ensure_future(app.endpoint.answer(signed(body(), gone=gone)))
    await began.wait()
    hung_up.set()
    async with asyncio.timeout(5):
        assert (await call).status == 499
    assert ended == ["cancelled"]


async def test_a_cancelled_request_cancels_its_branches(app: App) -> None:
    ended: list[int] = []
    began = asyncio.Barrier(4)

    @app.function("f")
    async def function(step: Step) -> None:
        async def endless(number: int) -> None:
            try:
                await began.wait()
                await asyncio.Event().wait()
            finally:
                ended.append(number)

        await step.parallel(*(step.run.later(f"s{number}", endless, number) for number in range(3)))

    call = asyncio.ensure_future(app.endpoint.answer(signed(body())))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert sorted(ended) == [0, 1, 2]


async def test_an_app_that_cannot_say_what_it_serves_says_why(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.function("f", step_timeout="soon")
    async def function(step: Step) -> None: ...

    reply = await app.endpoint.answer(signed(b"", method="GET"))
    assert reply.status == 500
    assert "is not a duration" in json.loads(reply.body)["error"]
    assert "is not a duration" in caplog.text


async def test_introspection_says_what_the_app_serves(app: App) -> None:
    add_counter(app)
    reply = await app.endpoint.answer(signed(b"", method="GET"))
    said = json.loads(reply.body)
    assert (said["app"], said["protocol"], said["sdk"]["language"]) == ("test", 2, "python")
    assert said["functions"] == [{"id": "f", "triggers": []}]
    assert (await app.endpoint.answer(Request("GET", {}, b""))).status == 401


class Engine:
    """A checkpointer that gives one reply after the other. `reports` is what it was told."""

    def __init__(self, *replies: wire.CheckpointReply | CheckpointLost) -> None:
        self.replies = list(replies)
        self.reports: list[tuple[int, list[str]]] = []

    async def report(self, url: str, item: wire.CheckpointItem, *, until: float) -> wire.CheckpointReply:
        assert (url, item.run_id, item.token) == ("http://engine/c", "r1", 7)
        self.reports.append((item.seq, [type(op).__name__ for op in item.ops]))
        reply = self.replies.pop(0)
        if isinstance(reply, CheckpointLost):
            raise reply
        return reply


GO = wire.Go(MS + 5000, MS + 30_000)


def add_three(app: App, engine: Engine) -> list[int]:
    app.__dict__["checkpoints"] = engine
    did: list[int] = []

    @app.function("f")
    async def function(step: Step) -> int:
        for number in range(3):
            await step.run(f"s{number}", did.append, number)
        return 1

    return did


def checkpointed(**more: Any) -> Request:
    return signed(body(checkpoint_url="http://engine/c", **more))


async def test_a_handler_goes_on_after_each_commit(app: App) -> None:
    engine = Engine(GO, GO, GO)
    did = add_three(app, engine)
    reply = await app.endpoint.answer(checkpointed())
    assert [op["op"] for op in ops_of(reply)] == ["done"]
    assert json.loads(reply.body)["seq"] == 4
    assert engine.reports == [(1, ["StepDone"]), (2, ["StepDone"]), (3, ["StepDone"])]
    assert did == [0, 1, 2]


async def test_a_stop_ends_the_call_with_nothing_more_to_say(app: App) -> None:
    engine = Engine(GO, wire.Stop("cancelled"))
    did = add_three(app, engine)
    reply = await app.endpoint.answer(checkpointed())
    assert (ops_of(reply), json.loads(reply.body)["seq"]) == ([], 3)
    assert did == [0, 1]


async def test_a_report_of_unknown_fate_ends_the_call_without_an_answer(app: App) -> None:
    engine = Engine(GO, CheckpointLost())
    did = add_three(app, engine)
    assert (await app.endpoint.answer(checkpointed())).status == 503
    assert did == [0, 1]


async def test_a_spent_budget_asks_for_another_call(app: App, clock: Clock) -> None:
    engine = Engine(GO, GO, GO)
    did = add_three(app, engine)
    clock.now += 0.5
    report = engine.report

    async def slowly(*given: Any, **named: Any) -> wire.CheckpointReply:
        clock.now += 0.6
        return await report(*given, **named)

    engine.report = slowly  # type: ignore[method-assign]
    reply = await app.endpoint.answer(checkpointed())
    assert (ops_of(reply), json.loads(reply.body)["seq"]) == ([{"op": "continue"}], 3)
    assert did == [0, 1]


async def test_a_step_that_would_start_late_asks_for_more_time_first(app: App, clock: Clock) -> None:
    engine = Engine(wire.Go(MS + 20_000, MS + 40_000), GO)
    app.__dict__["checkpoints"] = engine

    @app.function("f")
    async def function(step: Step) -> int:
        clock.now += 0.7
        await step.run("a", lambda: 1)
        return 1

    await app.endpoint.answer(checkpointed(start_by=MS + 100))
    assert engine.reports == [(1, ["Continue"]), (2, ["StepDone"])]


async def test_results_that_others_added_are_found_in_the_same_call(app: App) -> None:
    added = wire.Go(MS + 5000, MS + 30_000, {"tell": {"type": "sendEvent", "data": ["evt-1"]}})
    engine = Engine(added)
    app.__dict__["checkpoints"] = engine

    @app.function("f")
    async def function(step: Step) -> str:
        return await step.send_event("tell", "x")

    (op,) = ops_of(await app.endpoint.answer(checkpointed()))
    assert (op["op"], op["data"]) == ("done", "evt-1")
