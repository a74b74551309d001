"""The golden conversations, replayed against the SDK: what the engine sends goes in, what the app must answer comes out."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.golden_app import DID, version_1_app, version_2_app
from stepwell import App
from stepwell.endpoint import Reply, Request
from stepwell_protocol.client import Response
from stepwell_protocol.signing import verify_v1, verify_v2
from stepwell_protocol.times import parse_time

GOLDEN = Path(__file__).parent / "golden"


def conversation(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


class GoldenEngine:
    """The engine's end of the app's own requests: each must be the next one of the conversation."""

    def __init__(self, exchanges: list[Any], key: str, now: float) -> None:
        self.left = list(exchanges)
        self._key = key
        self._now = now

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> Response:
        exchange = self.left.pop(0)
        request, response = exchange["request"], exchange["response"]
        assert (method, url) == (request["method"], "http://127.0.0.1:3030" + request["path"])
        assert resembles(json.loads(body), json.loads(request["body"])), exchange["about"]
        verify_v2(body, headers["stepwell-signature"], [self._key], now=self._now)
        assert {name: headers[name] for name in ("x-durable-app", "stepwell-protocol")} == {
            name: request["headers"][name] for name in ("x-durable-app", "stepwell-protocol")
        }
        fields = {name.encode(): value.encode() for name, value in response["headers"].items()}
        return Response(status=response["status"], fields=fields, body=response["body"].encode())


def resembles(found: Any, golden: Any) -> bool:
    """Equal, except for how long a step took and for texts that are written as "…"."""
    if golden == "…":
        return isinstance(found, str)
    if isinstance(golden, dict):
        return (
            isinstance(found, dict)
            and list(found) == list(golden)
            and all(name == "ms" or resembles(found[name], golden[name]) for name in golden)
        )
    if isinstance(golden, list):
        return (
            isinstance(found, list)
            and len(found) == len(golden)
            and all(resembles(*pair) for pair in zip(found, golden, strict=True))
        )
    return type(found) is type(golden) and bool(found == golden)


async def deliver(app: App, request: Mapping[str, Any]) -> Reply:
    headers = {name.encode(): value.encode() for name, value in request["headers"].items()}
    return await app.endpoint.answer(Request(request["method"], headers, request["body"].encode()))


def assert_answered(reply: Reply, exchange: Any, *, key: str, now: float) -> None:
    golden = exchange["response"]
    assert reply.status == golden["status"], (exchange["about"], reply.body)
    if "body" not in golden:
        return
    assert resembles(json.loads(reply.body), json.loads(golden["body"])), (exchange["about"], reply.body)
    sent = dict(reply.headers)
    assert sent["content-type"] == golden["headers"]["content-type"]
    if "stepwell-signature" in golden["headers"]:
        verify_v2(reply.body, sent["stepwell-signature"], [key], now=now)
    else:
        assert verify_v1(reply.body, sent["x-durable-signature"], [key])


async def test_the_sdk_holds_the_conversation_of_version_1(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="stepwell")
    golden = conversation("version-1")
    key, now = golden["signingKey"], parse_time(golden["now"]).timestamp()
    app = version_1_app(signing_key=key, app_id=golden["appId"], now=lambda: now)
    DID.clear()
    for exchange in golden["exchanges"]:
        if exchange["from"] == "engine":
            assert_answered(await deliver(app, exchange["request"]), exchange, key=key, now=now)
    assert DID == ["load-user", "send-email", "send-email"]


async def test_the_sdk_holds_the_conversation_of_version_2(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="stepwell")
    golden = conversation("version-2")
    key, now = golden["signingKey"], parse_time(golden["now"]).timestamp()
    app = version_2_app(signing_key=key, app_id=golden["appId"], url="http://127.0.0.1:3030", now=lambda: now)
    engine = GoldenEngine([each for each in golden["exchanges"] if each["from"] == "app"], key, now)
    app.__dict__["http"] = engine
    DID.clear()
    for exchange in golden["exchanges"]:
        if exchange["from"] == "engine":
            assert_answered(await deliver(app, exchange["request"]), exchange, key=key, now=now)
    assert engine.left == []
    assert DID == ["charge", "mail", "sms", "print", "charge", "mail", "sms"]


@pytest.mark.parametrize("name", ["version-1", "version-2"])
def test_every_golden_signature_is_right(name: str) -> None:
    golden = conversation(name)
    key, now = golden["signingKey"], parse_time(golden["now"]).timestamp()
    checked = 0
    for exchange in golden["exchanges"]:
        for message in (exchange["request"], exchange["response"]):
            if exchange["response"]["status"] == 401 or "body" not in message:
                continue
            sent, body = message["headers"], message["body"].encode()
            if "stepwell-signature" in sent:
                verify_v2(body, sent["stepwell-signature"], [key], now=now)
                checked += 1
            if "x-durable-signature" in sent:
                assert verify_v1(body, sent["x-durable-signature"], [key]), exchange["about"]
                checked += 1
    assert checked > 15
