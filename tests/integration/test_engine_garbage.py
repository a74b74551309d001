"""An app may answer anything at all: its run fails or is tried again with a clear reason, and a run beside it completes."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from integration.apps import (
    Json,
    Reply,
    answer_to,
    done,
    serving,
    sign,
    sign_timed,
    signed,
    stepping,
    version_1,
    version_2,
)
from integration.stand import hurry, running
from integration.world import KEY, World
from stepwell_engine.model import App

Answer = Callable[[Json], Reply | Awaitable[Reply]]

NO_RETRY = {"maxAttempts": 1}
STEP = b'{"op":"step","id":"a","data":%b}'


def well_signed(body: bytes) -> Answer:
    return lambda call: signed(body, KEY)


def raw(head: str, body: bytes = b"") -> Answer:
    return lambda call: Reply(raw=head.replace("\n", "\r\n").encode() + body)


async def endless() -> AsyncIterator[bytes]:
    block = b"x" * (1 << 20)
    while True:
        yield block


GARBAGE: dict[str, tuple[Answer, str, str]] = {
    # what the app answers, the reason of the run, a part of the message
    "unsigned": (lambda call: Reply(body=STEP % b"1"), "UnsignedAnswer", "x-durable-signature is missing or wrong"),
    "signed with another key": (
        lambda call: signed(STEP % b"1", "wrong"),
        "UnsignedAnswer",
        "must hold the same signing key",
    ),
    "signed before it was cut": (
        lambda call: Reply(body=STEP[:9], headers={"x-durable-signature": sign(STEP, KEY)}),
        "UnsignedAnswer",
        "missing or wrong",
    ),
    "empty": (well_signed(b""), "UnreadableAnswer", "answer: not JSON"),
    "no content": (lambda call: signed(b"", KEY, status=204), "UnreadableAnswer", "answer: not JSON"),
    "half an object": (well_signed(b'{"op":"step","id":'), "UnreadableAnswer", "not JSON at line 1"),
    "not JSON": (well_signed(b"<html>Welcome to nginx</html>"), "UnreadableAnswer", "not JSON at line 1 column 1"),
    "not UTF-8": (well_signed(b'{"op":"step","id":"\xff"}'), "UnreadableAnswer", "not valid UTF-8"),
    "NaN": (well_signed(STEP % b"NaN"), "UnreadableAnswer", "NaN is not a JSON number"),
    "20,000 levels deep": (well_signed(STEP % (b"[" * 20_000 + b"]" * 20_000)), "UnreadableAnswer", "deeper than 64"),
    "20,000 levels begun": (well_signed(b"[" * 20_000), "UnreadableAnswer", "deeper than 64"),
    "a number past a double": (well_signed(STEP % b"1e400"), "UnreadableAnswer", "beyond the range of a double"),
    "a number of 5,000 digits": (well_signed(STEP % (b"9" * 5_000)), "UnreadableAnswer", "more than 308 digits"),
    "U+0000": (well_signed(STEP % b'"\\u0000"'), "UnreadableAnswer", "U+0000"),
    "half a surrogate pair": (well_signed(STEP % b'"\\ud800"'), "UnreadableAnswer", "surrogate"),
    "a key twice": (well_signed(b'{"op":"done","data":1,"data":2}'), "UnreadableAnswer", "'data' occurs twice"),
    "gzip": (
        lambda call: Reply(
            body=gzip.compress(STEP % b"1"),
            headers={"content-encoding": "gzip", "x-durable-signature": sign(gzip.compress(STEP % b"1"), KEY)},
        ),
        "UnreadableAnswer",
        "answer: not",
    ),
    "endless": (lambda call: Reply(stream=endless), "UnreadableAnswer", "larger than"),
    "a redirect": (
        lambda call: Reply(status=302, headers={"location": "http://127.0.0.1:1/"}),
        "HttpError",
        "the app answered HTTP 302",
    ),
    "401": (lambda call: Reply(status=401, body=b"who are you?"), "HttpError", "HTTP 401: who are you?"),
    "not an object": (well_signed(b"[1]"), "IllegalAnswer", "answer: must be an object; got an array"),
    "no operation": (well_signed(b"{}"), "IllegalAnswer", "answer.op"),
    "an unknown operation": (well_signed(b'{"op":"format-disk"}'), "IllegalAnswer", '"format-disk"'),
    "an operation of version 2": (well_signed(b'{"op":"continue"}'), "IllegalAnswer", '"continue"'),
    "a step without an id": (well_signed(b'{"op":"step","data":1}'), "IllegalAnswer", "answer.id"),
    "an id that is too long": (well_signed(b'{"op":"step","id":"%b"}' % (b"x" * 257)), "IllegalAnswer", "answer.id"),
    "an id that is no text": (well_signed(b'{"op":"step","id":{"a":1}}'), "IllegalAnswer", "answer.id"),
    "an id of the engine's own": (well_signed(b'{"op":"step","id":"$run","data":1}'), "IllegalAnswer", "'$run'"),
    "a sleep without an end": (well_signed(b'{"op":"sleep","id":"a"}'), "IllegalAnswer", "answer.until"),
    "a sleep until nonsense": (well_signed(b'{"op":"sleep","id":"a","until":"soon"}'), "IllegalAnswer", "answer.until"),
    "a sleep past all years": (
        well_signed(b'{"op":"sleep","id":"a","until":"9999-12-31T23:59:59-23:00"}'),
        "IllegalAnswer",
        "answer.until",
    ),
    "a match that is no object": (
        well_signed(b'{"op":"wait","id":"a","event":"e","match":[1],"until":"2030-01-01T00:00:00Z"}'),
        "IllegalAnswer",
        "answer.match",
    ),
    "a result of 5 MiB": (well_signed(STEP % (b'"%b"' % (b"x" * (5 << 20)))), "IllegalAnswer", "the limit is 4 MiB"),
    "an output of 5 MiB": (
        well_signed(b'{"op":"done","data":"%b"}' % (b"x" * (5 << 20))),
        "IllegalAnswer",
        "the limit is 4 MiB",
    ),
}


async def judged(world: World, app: App, garbage: Mapping[str, tuple[Answer, str, str]]) -> dict[str, str]:
    """Run every kind of garbage at once, with sound runs beside it. Answers what came out otherwise than it should."""
    for number in range(len(garbage)):
        await world.function(app, f"bad-{number}", retries=NO_RETRY)
    await world.function(app, "good", retries=NO_RETRY)
    runs = {what: await world.start(app, f"bad-{number}") for number, what in enumerate(garbage)}
    beside = [await world.start(app, "good") for _ in range(5)]
    wrong: dict[str, str] = {}
    for what, run_id in runs.items():
        _, reason, message = garbage[what]
        run = await world.ended(run_id, within=30)
        error = json.loads(run["error"] or b"{}")
        told = str(error.get("message"))
        if (run["status"], run["reason"]) != ("failed", reason) or message not in told or len(told) > 1000:
            wrong[what] = f"{run['status']}, {run['reason']}: {told[:300]}"
        if any(entry == "step_completed" for entry, _ in await world.told(run_id)):
            wrong[what] = "a result was taken"
    for run_id in beside:
        assert (await world.ended(run_id))["status"] == "completed"
    return wrong


async def test_garbage_fails_its_run_with_a_reason_and_hurts_no_other(world: World, database_url: str) -> None:
    handlers: dict[str, Any] = {f"bad_{number}": answer for number, (answer, _, _) in enumerate(GARBAGE.values())}
    async with serving(version_1(KEY, good=stepping("a", "b"), **handlers)) as http, running(database_url):
        app = await world.app(url=http.url)
        assert await judged(world, app, GARBAGE) == {}


BROKEN: dict[str, Answer] = {
    "hangs up at once": raw(""),
    "hangs up in the headers": raw("HTTP/1.1 200 OK\ncontent-le"),
    "hangs up in the body": raw("HTTP/1.1 200 OK\ncontent-length: 1000\n\n", b'{"op":"do'),
    "is no HTTP server": raw("SSH-2.0-OpenSSH_9.2\n"),
    "frames its answer twice": raw(
        "HTTP/1.1 200 OK\ncontent-length: 5\ntransfer-encoding: chunked\n\n", b"0\r\n\r\nHTTP/1.1 200 OK\r\n"
    ),
    "sends headers without end": raw("HTTP/1.1 200 OK\n" + "".join(f"x-{n}: {'y' * 1000}\n" for n in range(200))),
}


async def test_an_app_whose_answer_breaks_off_is_called_again_and_loses_no_attempt(
    world: World, database_url: str
) -> None:
    broken_before: set[str] = set()

    def handler(call: Json) -> Any:
        what = call["event"]["data"]
        if what in broken_before:
            return done("mended")
        broken_before.add(what)
        return BROKEN[what](call)

    async with serving(version_1(KEY, work=handler)) as http, running(database_url) as engine:
        app = await world.app(url=http.url)
        await world.function(app, retries=NO_RETRY)
        runs = [await world.start(app, input=what) for what in BROKEN]
        await world.until(f"select count(*) = {len(BROKEN)} from stepwell.run where reason = 'EndpointUnreachable'")
        await hurry(world, engine)
        for run_id in runs:
            assert (await world.ended(run_id))["status"] == "completed"
            assert await world.told(run_id) == [("run_completed", None)]


async def test_an_answer_that_takes_longer_than_the_step_may_uses_an_attempt(world: World, database_url: str) -> None:
    async def hanging(call: Json) -> Reply:
        await asyncio.sleep(60)
        raise AssertionError

    async with serving(version_1(KEY, slow=hanging, good=stepping("a"))) as http, running(database_url):
        app = await world.app(url=http.url)
        await world.function(app, "slow", retries=NO_RETRY, timeouts={"step": "200ms"})
        await world.function(app, "good")
        slow, good = await world.start(app, "slow"), await world.start(app, "good")
        run = await world.ended(slow)
        assert (await world.ended(good))["status"] == "completed"
    assert (run["status"], run["reason"]) == ("failed", "StepTimedOut")
    assert "within 0.2 s (timeouts.step)" in json.loads(run["error"])["message"]


async def test_an_answer_that_trickles_past_its_time_uses_an_attempt(world: World, database_url: str) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    async with serving(version_1(KEY, work=lambda call: Reply(stream=trickle))) as http, running(database_url):
        app = await world.app(url=http.url)
        await world.function(app, retries=NO_RETRY, timeouts={"step": "200ms"})
        run = await world.ended(await world.start(app))
    assert run["reason"] == "StepTimedOut"


async def test_garbage_is_forgiven_when_a_later_attempt_is_sound(world: World, database_url: str) -> None:
    replies = iter([Reply(body=b"{}"), signed(b"nonsense", KEY)])
    async with (
        serving(version_1(KEY, work=lambda call: next(replies, None) or done("fine"))) as http,
        running(database_url),
    ):
        app = await world.app(url=http.url)
        await world.function(app, retries={"maxAttempts": 3, "backoff": {"initial": "10ms"}})
        run_id = await world.start(app)
        assert (await world.ended(run_id))["output"] == b'"fine"'
    assert [entry for entry, _ in await world.told(run_id)] == ["attempt_failed", "attempt_failed", "run_completed"]


# Version 2


def not_from_the_app(call: Json) -> Reply:
    return answer_to(call, [done()], "another key")


def signed_too_long_ago(call: Json) -> Reply:
    reply = answer_to(call, [done()], KEY)
    return Reply(body=reply.body, headers={"stepwell-signature": sign_timed(reply.body, KEY, at=1_700_000_000)})


def signed_for_version_1_only(call: Json) -> Reply:
    return signed(answer_to(call, [done()], KEY).body, KEY)


STEP_A = {"op": "step", "id": "a", "data": 1}

GARBAGE_2: dict[str, tuple[Answer, str, str]] = {
    "another key": (not_from_the_app, "UnsignedAnswer", "the signature does not match the body"),
    "an old signature": (signed_too_long_ago, "UnsignedAnswer", "at most 300 s are accepted"),
    "version 1's signature": (signed_for_version_1_only, "UnsignedAnswer", "it carries no stepwell-signature"),
    "another token": (
        lambda call: answer_to(call, [done()], KEY, token=999_999),
        "UnreadableAnswer",
        "the answer is to token 999999",
    ),
    "another number": (lambda call: answer_to(call, [done()], KEY, seq=9), "UnreadableAnswer", "exchange 9"),
    "a negative token": (lambda call: answer_to(call, [done()], KEY, token=-1), "IllegalAnswer", "answer.token"),
    "no operations": (lambda call: answer_to(call, [], KEY), "IllegalAnswer", "could never go on"),
    "a step twice": (lambda call: answer_to(call, [STEP_A, STEP_A], KEY), "IllegalAnswer", "has a result already"),
    "1,001 operations": (
        lambda call: answer_to(call, [{"op": "progress", "current": n} for n in range(1001)], KEY),
        "IllegalAnswer",
        "at most 1000 operations",
    ),
    "an operation still to come": (
        lambda call: answer_to(call, [{"op": "signal", "id": "a", "signal": "s", "until": None}], KEY),
        "IllegalAnswer",
        "not supported by this release",
    ),
    "an error that is no object": (
        lambda call: answer_to(call, [{"op": "fail", "id": "a", "error": "boom"}], KEY),
        "IllegalAnswer",
        "answer.ops[0].error",
    ),
    "a result and a sleep of one name": (
        lambda call: answer_to(call, [{"op": "sleep", "id": "a", "until": "2030-01-01T00:00:00Z"}, STEP_A], KEY),
        "IllegalAnswer",
        "'a' is pending as a sleep",
    ),
}


async def test_garbage_in_version_2_fails_its_run_with_a_reason_and_hurts_no_other(
    world: World, database_url: str
) -> None:
    good = stepping("a", "b")
    handlers: dict[str, Any] = {f"bad_{number}": answer for number, (answer, _, _) in enumerate(GARBAGE_2.values())}
    handlers["good"] = lambda call: [good(call)]
    async with serving(version_2(KEY, **handlers)) as http, running(database_url):
        app = await world.app(url=http.url, protocol=2)
        assert await judged(world, app, GARBAGE_2) == {}
