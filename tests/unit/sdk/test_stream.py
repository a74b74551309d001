"""Several calls in one request: each is answered as if it had come alone, as soon as it can be."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell import App, Step, SyncStep
from stepwell.endpoint import Reply, Request
from stepwell.stream import Stream
from stepwell_protocol import wire
from stepwell_protocol.sharing import PARTS, PartReader, encode_calls
from stepwell_protocol.signing import sign_v1, sign_v2, verify_v2

KEY = "sk_test"
NOW = 1_783_242_000.0
MS = int(NOW * 1000)


@pytest.fixture
def app() -> App:
    app = App("test", signing_key=KEY, app_id="app", now=lambda: NOW)

    @app.function()
    async def quick(step: Step, value: int) -> int:
        return await step.run("double", lambda: 2 * value)

    @app.function()
    def plain(step: SyncStep, value: int) -> int:
        return step.run("double", lambda: 2 * value)

    @app.function()
    async def broken(step: Step) -> None:
        raise ValueError("no")

    @app.function()
    async def cancels_itself(step: Step) -> None:
        raise asyncio.CancelledError

    return app


def call(run_id: str, function: str = "quick", *, start_by: int = MS + 5000) -> bytes:
    return wire.encode_invoke(
        run_id,
        function_id=function,
        event=wire.encode_event("e1", name="x", data=b"21"),
        entries=(),
        terms=wire.Terms(wire.Call(7, 1, start_by, MS + 30_000, 0), revision=1),
    )


def request(*calls: bytes, streams: bool = True, gone: Callable[[], Awaitable[None]] | None = None) -> Request:
    raw = encode_calls(calls)
    return Request("POST", {b"stepwell-signature": sign_v2(raw, KEY, now=NOW).encode()}, raw, gone, streams=streams)


def stream_of(reply: Reply) -> Stream:
    assert (reply.status, dict(reply.headers)["content-type"]) == (200, PARTS), reply.body
    assert reply.stream is not None
    return reply.stream


async def answers_of(reply: Reply) -> dict[int, tuple[int, Any]]:
    """All answers by their call's place, as (status, body)."""
    stream, reader, found = stream_of(reply), PartReader([KEY]), {}
    more = True
    while more:
        part, more = await stream.part()
        for place, status, body in reader.feed(part, now=NOW):
            found[place] = (status, json.loads(body) if body else None)
    await stream.close()
    return found


async def test_each_call_is_answered_as_it_would_have_been_alone(app: App) -> None:
    await app.endpoint.answer(_alone(call("seen before")))
    calls = [
        call("a"),
        call("b", "plain"),
        call("c", "broken"),
        call("d", "nothing"),
        call("late", start_by=MS - 1),
        call("seen before"),
        call("e", "cancels_itself"),
    ]
    found = await answers_of(await app.endpoint.answer(request(*calls)))
    assert [found[place][0] for place in range(len(calls))] == [200, 200, 200, 200, 409, 409, 504]
    for place in (0, 1):
        answer = found[place][1]
        assert (answer["token"], answer["seq"]) == (7, 1)
        assert [(op["op"], op["id"], op["data"]) for op in answer["ops"]] == [("step", "double", 42)]
    assert found[2][1]["ops"][0]["error"]["name"] == "ValueError"
    assert found[3][1]["ops"][0]["error"]["name"] == "NotServed"
    assert (found[4][1], found[5][1]) == ({"refused": "late"}, {"refused": "repeated"})


def _alone(raw: bytes) -> Request:
    return Request("POST", {b"stepwell-signature": sign_v2(raw, KEY, now=NOW).encode()}, raw)


async def test_a_slow_call_holds_up_no_other(app: App) -> None:
    gate = asyncio.Event()

    @app.function()
    async def slow(step: Step) -> bool:
        return await step.run("wait", gate.wait)

    stream = stream_of(await app.endpoint.answer(request(call("s", "slow"), call("q"))))
    reader = PartReader([KEY])
    part, more = await stream.part()
    assert ([answer.place for answer in reader.feed(part, now=NOW)], more) == ([1], True)
    gate.set()
    part, more = await stream.part()
    assert ([answer.place for answer in reader.feed(part, now=NOW)], more) == ([0], False)


async def test_when_the_engine_hangs_up_every_handler_is_cancelled(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwell.watch._WATCH_AFTER", 0.01)
    hang_up, told = asyncio.Event(), list[str]()
    entered = asyncio.Semaphore(0)

    @app.function()
    async def endless(step: Step) -> None:
        async def work() -> None:
            entered.release()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append(step.run_id)
                raise

        await step.run("work", work)

    times_asked = []

    async def gone() -> None:
        times_asked.append(1)
        await hang_up.wait()

    reply = await app.endpoint.answer(request(call("a", "endless"), call("b", "endless"), gone=gone))
    answering = asyncio.ensure_future(answers_of(reply))
    for _ in range(2):
        await entered.acquire()
    hang_up.set()
    async with asyncio.timeout(5):
        assert await answering == {0: (499, None), 1: (499, None)}
    assert sorted(told) == ["a", "b"]
    assert len(times_asked) == 1, "a server tells only once"


async def test_a_stream_that_is_closed_early_leaves_nothing_running(app: App) -> None:
    ended, entered = asyncio.Event(), asyncio.Event()

    @app.function()
    async def endless(step: Step) -> None:
        async def work() -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        await step.run("work", work)

    stopped_listening = asyncio.Event()

    async def gone() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped_listening.set()

    stream = stream_of(await app.endpoint.answer(request(call("a", "endless"), call("b"), gone=gone)))
    await stream.part()
    await entered.wait()
    listening = asyncio.ensure_future(stream.hung_up())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await stream.close()
    assert ended.is_set()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert stopped_listening.is_set()


@pytest.mark.parametrize(
    ("calls", "streams"),
    [
        ([call("a"), call("b")], False),
        ([call("a"), b'{"runId":"b"}'], True),
        ([call("a"), b'{"runId":"b","functionId":"quick","event":{"name":"x"}}'], True),
        ([], True),
    ],
    ids=["a framework that cannot stream", "one that is no call", "one of version 1", "none"],
)
async def test_what_cannot_be_taken_together_is_refused_before_anything_starts(
    app: App, calls: list[bytes], streams: bool
) -> None:
    reply = await app.endpoint.answer(request(*calls, streams=streams))
    assert (reply.status, reply.stream) == (400, None)
    verify_v2(reply.body, dict(reply.headers)["stepwell-signature"], [KEY], now=NOW)
    alone = await app.endpoint.answer(_alone(call("a")))
    assert alone.status == 200, "it is not a repetition"


async def test_calls_that_carry_version_1_s_signature_only_are_refused(app: App) -> None:
    raw = encode_calls([call("a")])
    reply = await app.endpoint.answer(
        Request("POST", {b"x-durable-signature": sign_v1(raw, KEY).encode()}, raw, streams=True)
    )
    assert reply.status == 400


async def test_only_an_app_whose_framework_streams_says_that_it_takes_them(app: App) -> None:
    assert "sharedCalls" not in json.loads(app.describe())["capabilities"]
    assert app.asgi is not None
    assert "sharedCalls" in json.loads(app.describe())["capabilities"]
