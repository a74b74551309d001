"""Reports of finished steps: gathered, signed, repeated when their fate is unknown, and given up in time."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stepwell.checkpoints import Checkpoints
from stepwell.turn import CheckpointLost
from stepwell_protocol import wire
from stepwell_protocol.client import Response
from stepwell_protocol.http_errors import ConnectFailed, ConnectionLost, HttpError
from stepwell_protocol.signing import sign_v2, verify_v2

KEY = "sk_test"
NOW = 1_783_242_000.0
URL = "http://127.0.0.1:3030/fn/checkpoint"


class Engine:
    """Stands in for the HTTP client: answers each request with the next of `answers`, then with `go` for each item."""

    def __init__(self, *answers: Callable[[int], Response] | HttpError, key: str = KEY) -> None:
        self.answers = list(answers)
        self.key = key
        self.batches: list[list[Any]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> Response:
        verify_v2(body, headers["stepwell-signature"], [KEY], now=NOW)
        assert (method, url, headers["x-durable-app"]) == ("POST", URL, "app")
        items = json.loads(body)
        self.batches.append(items)
        self.asked.set()
        await self.open.wait()
        answer = self.answers.pop(0) if self.answers else self.go
        if isinstance(answer, HttpError):
            raise answer
        return answer(len(items))

    def go(self, count: int) -> Response:
        return self.reply(b"[%b]" % b",".join([b'{"go":{"startBy":1,"endBy":2}}'] * count))

    def reply(self, body: bytes, status: int = 200) -> Response:
        signature = sign_v2(body, self.key, now=NOW).encode()
        return Response(status=status, fields={b"stepwell-signature": signature}, body=body)


def checkpoints(engine: Engine) -> Checkpoints:
    return Checkpoints(engine, app_id=lambda: "app", keys=lambda: (KEY,), now=lambda: NOW)  # type: ignore[arg-type]


def item(run: str = "r1", seq: int = 1) -> wire.CheckpointItem:
    return wire.CheckpointItem(run, 7, seq, (wire.StepDone("a", b"1"),))


async def test_a_report_is_answered_with_go() -> None:
    assert await checkpoints(Engine()).report(URL, item(), until=NOW + 10) == wire.Go(1, 2)


async def test_reports_of_one_moment_share_a_request() -> None:
    engine = Engine()
    reports = checkpoints(engine)
    await asyncio.gather(*(reports.report(URL, item(f"r{n}"), until=NOW + 10) for n in range(50)))
    assert [len(batch) for batch in engine.batches] == [50]


async def test_what_gathers_while_requests_are_under_way_shares_the_next() -> None:
    engine = Engine()
    engine.open.clear()
    reports = checkpoints(engine)
    calls = []
    for number in range(20):
        calls.append(asyncio.ensure_future(reports.report(URL, item(f"r{number}"), until=NOW + 10)))
        for _ in range(5):
            await asyncio.sleep(0)
    engine.open.set()
    await asyncio.gather(*calls)
    assert [len(batch) for batch in engine.batches] == [1, 1, 18]


async def test_each_item_gets_its_own_answer() -> None:
    engine = Engine()
    engine.answers = [lambda _: engine.reply(b'[{"stop":"cancelled"},{"go":{"startBy":3,"endBy":4}}]')]
    reports = checkpoints(engine)
    answers = await asyncio.gather(*(reports.report(URL, item(f"r{n}"), until=NOW + 10) for n in range(2)))
    assert answers == [wire.Stop("cancelled"), wire.Go(3, 4)]


@pytest.mark.parametrize(
    "trouble",
    [
        ConnectFailed("refused"),
        ConnectionLost("reset"),
        lambda _: Response(status=503, fields={}, body=b"busy"),
        lambda _: Response(status=200, fields={}, body=b"[]"),
        lambda _: Engine().reply(b"[]"),
        lambda _: Engine().reply(b"garbage"),
        lambda count: Engine(key="forged").go(count),
    ],
    ids=["refused", "reset", "busy", "unsigned", "too-few", "garbage", "forged"],
)
async def test_a_report_without_a_good_answer_is_sent_again(trouble: Any) -> None:
    engine = Engine(trouble)
    assert await checkpoints(engine).report(URL, item(), until=NOW + 10) == wire.Go(1, 2)
    assert engine.batches[0] == engine.batches[1]


async def test_a_report_is_given_up_when_the_calls_time_is_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="stepwell")
    engine = Engine(ConnectFailed("refused"))
    with pytest.raises(CheckpointLost):
        await checkpoints(engine).report(URL, item(), until=NOW)
    assert len(engine.batches) == 1


async def test_closing_gives_up_what_is_under_way() -> None:
    engine = Engine()
    engine.open.clear()
    reports = checkpoints(engine)
    call = asyncio.ensure_future(reports.report(URL, item(), until=NOW + 10))
    await engine.asked.wait()
    await reports.close()
    with pytest.raises(CheckpointLost):
        await call
