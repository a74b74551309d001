"""The golden conversations, replayed against a whole engine: what the app answers goes in, what the engine must send comes out.

Only what differs from one conversation to the next is put in its place: ids, the key, the address, instants, and in version 2
the terms of a call and the app's time. Everything else is compared byte for byte.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from integration.apps import Received, Reply, serving, sign, sign_timed, verified
from integration.stand import Stand, serving_gateway
from integration.world import KEY, World, opened

GOLDEN = Path(__file__).parent / "golden"
ADMIN = "admin-token"


def conversation(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def instant(seconds: float) -> str:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Script:
    """The app's end: answers the golden answers one after another, with what has to be put in place."""

    key: str
    answers: Iterator[bytes]
    timed: bool = False
    received: list[Received] = field(default_factory=list)

    async def __call__(self, request: Received) -> Reply:
        self.received.append(request)
        if not self.timed:
            body = next(self.answers)
            return Reply(body=body, headers={"x-durable-signature": sign(body, self.key)})
        assert verified(request, self.key)
        terms = request.json["call"]
        under = b'"token":%d,"seq":%d' % (terms["token"], terms["seq"])
        body = re.sub(rb'"token":\d+,"seq":\d+', under, next(self.answers))
        body = re.sub(rb'"time":\d+', b'"time":%d' % (time.time() * 1000), body)
        return Reply(body=body, headers={"stepwell-signature": sign_timed(body, self.key)})


def replaced(text: str, values: Mapping[str, str]) -> bytes:
    for golden, real in values.items():
        text = text.replace(golden, real)
    return text.encode()


async def said(stand: Stand, exchange: Any, values: Mapping[str, str], key: str) -> Any:
    """Send one of the app's own requests and hold the answer to the golden one. The answer may say more."""
    request, response = exchange["request"], exchange["response"]
    body = replaced(request["body"], values)
    headers = {name: replaced(value, values).decode() for name, value in request["headers"].items()}
    if "x-durable-signature" in headers:
        headers["x-durable-signature"] = sign(body, key)
    answer = await stand.client.request(request["method"], request["path"], content=body, headers=headers)
    assert answer.status_code == response["status"], (exchange["about"], answer.text)
    assert answer.headers["content-type"] == response["headers"]["content-type"]
    if "x-durable-signature" in response["headers"]:
        assert answer.headers["x-durable-signature"] == sign(answer.content, key)
    assert says_all_of(answer.json(), json.loads(response["body"])), (exchange["about"], answer.text)
    return answer.json()


def says_all_of(found: Any, golden: Any) -> bool:
    """The same members with values of the same type; ids and keys are of this conversation."""
    if isinstance(golden, dict):
        return isinstance(found, dict) and all(
            name in found and says_all_of(found[name], value) for name, value in golden.items()
        )
    if isinstance(golden, list):
        return (
            isinstance(found, list)
            and len(found) == len(golden)
            and all(says_all_of(*pair) for pair in zip(found, golden, strict=True))
        )
    return type(found) is type(golden)


@pytest.fixture
async def looking(database_url: str) -> Any:
    async with (
        await opened(database_url) as journal,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True, row_factory=dict_row) as connection,
    ):
        yield World(journal, connection)


async def test_the_engine_holds_the_conversation_of_version_1(looking: World, database_url: str) -> None:
    golden = conversation("version-1")
    registering, syncing, sending = golden["exchanges"][:3]
    calls = golden["exchanges"][3:9]
    instants = {"2026-07-05T09:01:30.000Z": instant(0.1), "2026-07-12T09:00:00.000Z": instant(3600)}
    script = Script("", iter([replaced(call["response"]["body"], instants) for call in calls]))
    async with serving(script) as http, serving_gateway(database_url, dev=False, admin_token=ADMIN) as stand:
        app = await said(stand, registering, {}, "")
        assert await said(stand, registering, {}, "") == app
        script.key = key = app["signingKey"]
        values = {"app_golden": app["appId"], golden["signingKey"]: key, "https://app.example/api/stepwell": http.url}
        told = await said(stand, syncing, values, key)
        assert [each["id"] for each in told["functions"]] == ["onboarding", "nightly"]
        values["evt-1"] = (await said(stand, sending, values, key))["id"]
        run_id = await looking.value("select id from stepwell.run")
        await looking.reached(run_id, "waiting")
        approval = b'{"name":"approval.received","data":{"orderId":"o1","by":"eve"}}'
        answer = await stand.post("/e", approval, app=app["appId"], key=key)
        values["evt-2"] = answer.json()["id"]
        run = await looking.ended(run_id)
    values["0197d9a0-0000-7000-8000-000000000001"] = str(run_id)
    assert (run["status"], run["output"]) == ("completed", b'{"mail":"mailed Ann","by":"eve"}')
    assert len(script.received) == len(calls)
    for request, call in zip(script.received, calls, strict=True):
        wanted = call["request"]
        assert request.body == replaced(wanted["body"], values), call["about"]
        assert request.headers["x-durable-signature"] == sign(request.body, key)
        assert request.headers["x-durable-app"] == app["appId"]
        assert request.headers["content-type"] == wanted["headers"]["content-type"]
        assert (request.method, request.path) == ("POST", "/api/durable")


async def test_the_engine_sends_stored_bytes_of_version_1_as_they_were_received(
    looking: World, database_url: str
) -> None:
    """The last golden call holds spaces, escapes and number spellings: an app that answered so gets them back so."""
    golden = conversation("version-1")
    steps = json.loads(golden["exchanges"][9]["request"]["body"])["steps"]
    assert list(steps) == ["load-user", "cooldown", "approve"]
    spelled = re.search(rb'"load-user": \{"type": "run", "data": (\{.*?\})\}', _body(golden["exchanges"][9]))
    assert spelled is not None
    script = Script(
        KEY,
        iter(
            [
                b'{"op":"step","id":"load-user","data":' + spelled[1] + b"}",
                f'{{"op":"sleep","id":"cooldown","until":"{instant(0)}"}}'.encode(),
                f'{{"op":"wait","id":"approve","event":"e","match":null,"until":"{instant(0)}"}}'.encode(),
                golden["exchanges"][9]["response"]["body"].encode(),
            ]
        ),
    )
    async with serving(script) as http, serving_gateway(database_url):
        app = await looking.app(url=http.url)
        await looking.function(app, "onboarding")
        run = await looking.ended(await looking.start(app, "onboarding"))
    assert run["output"] == b'{"mail":"","by":"nobody"}'
    assert b'"load-user":{"type":"run","data":' + spelled[1] + b"}" in script.received[-1].body
    assert b'"cooldown":{"type":"sleep","data":null},"approve":{"type":"wait","data":null}}' in script.received[-1].body


def _body(exchange: Any) -> bytes:
    return str(exchange["request"]["body"]).encode()


TERMS = re.compile(
    rb'"revision":\d+,"call":\{"token":\d+,"seq":\d+,"startBy":\d+,"endBy":\d+,"budgetMs":\d+\},"attempts":\{[^}]*\}'
)


async def test_the_engine_holds_the_conversation_of_version_2(looking: World, database_url: str) -> None:
    """One step's failure is final at its second attempt; that second failing answer is the first one again."""
    golden = conversation("version-2")
    calls = {number: golden["exchanges"][number] for number in (1, 2, 3, 5, 6, 7)}
    answers = {number: calls[number]["response"]["body"] for number in calls}
    answers[3] = answers[3].replace('"stack":"…"', '"stack":null')
    answers[5] = answers[5].replace("2026-07-06T09:00:00.000Z", instant(0.1))
    order = (1, 2, 3, 3, 5, 6, 7)
    script = Script(KEY, iter([answers[number].encode() for number in order]), timed=True)
    async with serving(script) as http, serving_gateway(database_url):
        app = await looking.app(url=http.url, protocol=2)
        retries = {"maxAttempts": 2, "backoff": {"initial": "10ms"}}
        await looking.function(app, "fulfil", triggers=[{"event": {"name": "order.placed"}}], retries=retries)
        (event,) = await looking.send(app, ("order.placed", {"id": "o1", "totalCents": 1250}), id="evt-7")
        (run_id,) = event.run_ids
        run = await looking.ended(run_id)
    assert (run["status"], run["output"]) == ("completed", b'{"chargeId":"c-o1","approvedBy":null}')
    sent = await looking.value("select id from stepwell.event where name = 'order.fulfilled'")
    values = {"0197d9a0-0000-7000-8000-000000000002": str(run_id), "evt-8": str(sent)}
    for number, request in zip(order, script.received, strict=True):
        wanted = TERMS.sub(b"TERMS", replaced(calls[number]["request"]["body"], values))
        found = re.sub(rb',"checkpoint":\{"url":"[^"]*"\}', b"", TERMS.sub(b"TERMS", request.body))
        assert found.count(b"TERMS") == 1
        assert found == wanted, calls[number]["about"]
        assert set(request.headers) >= set(calls[number]["request"]["headers"])
        assert request.headers["stepwell-protocol"] == "2"
    tries = [request.json["attempts"] for request in script.received]
    assert tries[2:5] == [{}, {"print": 1}, {"print": 2}]
