"""The client's retries: what is tried again, what is not, and that nothing counts twice."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stepwell import Client, ConfigurationError, EngineUnreachable, Mistake, RequestRefused
from stepwell_protocol.client import Response
from stepwell_protocol.http_errors import ConnectFailed, ConnectionLost, HttpError
from stepwell_protocol.signing import verify_v2

KEY = "sk_client"
NOW = 1_783_242_000.0


class Engine:
    """Stands in for the HTTP client; gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: Response | HttpError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> Response:
        if "stepwell-signature" in headers:
            verify_v2(body, headers["stepwell-signature"], [KEY], now=NOW)
        self.asked.append((method, url, json.loads(body or b"null")))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, HttpError):
            raise answer
        return answer


def ok(**body: Any) -> Response:
    return Response(status=200, fields={}, body=json.dumps(body).encode())


def status(code: int, **body: Any) -> Response:
    return Response(status=code, fields={}, body=json.dumps(body).encode())


@pytest.fixture
def client_of() -> Callable[[Engine], Client]:
    def make(engine: Engine, *, timeout: float = 5.0) -> Client:
        return Client(
            url="http://engine/",
            app_id="app",
            signing_key=KEY,
            timeout=timeout,
            http=engine,  # type: ignore[arg-type]
            now=lambda: NOW,
        )

    return make


ClientOf = Callable[..., Client]


@pytest.mark.parametrize(
    "trouble", [ConnectFailed("refused"), ConnectionLost("reset"), status(503), status(429), status(502)], ids=repr
)
async def test_an_event_is_sent_again_under_the_same_id(client_of: ClientOf, trouble: Response | HttpError) -> None:
    engine = Engine(trouble, trouble, ok(id="evt-1"))
    assert await client_of(engine).send("user.created", {"a": 1}) == "evt-1"
    method, url, body = engine.asked[0]
    assert (method, url, body["name"], body["data"]) == ("POST", "http://engine/e", "user.created", {"a": 1})
    assert body["id"]
    assert engine.asked == [engine.asked[0]] * 3


async def test_a_start_is_sent_again_under_the_same_key(client_of: ClientOf) -> None:
    engine = Engine(ConnectionLost("reset"), ok(id="run-1", new=True))
    assert (await client_of(engine).start("f", 1)).id == "run-1"
    assert engine.asked[0] == engine.asked[1]
    assert engine.asked[0][2]["idempotencyKey"]


@pytest.mark.parametrize("code", [400, 401, 404, 409, 413, 422, 500])
async def test_a_refusal_is_not_tried_again(client_of: ClientOf, code: int) -> None:
    engine = Engine(status(code, title="No", detail="data: must be an object"))
    with pytest.raises(RequestRefused, match=f"HTTP {code}: data: must be an object") as refusal:
        await client_of(engine).send("x")
    assert (refusal.value.status, refusal.value.problem["title"]) == (code, "No")
    assert len(engine.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "may_have_counted"),
    [(ConnectFailed("refused"), False), (ConnectionLost("reset"), True), (status(503), True)],
    ids=repr,
)
async def test_an_engine_that_stays_away_is_given_up_in_time(
    client_of: ClientOf, trouble: Response | HttpError, may_have_counted: bool
) -> None:
    with pytest.raises(EngineUnreachable) as error:
        await client_of(Engine(trouble), timeout=0.2).send("x")
    assert error.value.may_have_counted is may_have_counted


@pytest.mark.parametrize("body", [b"", b"[]", b"garbage", b"\xff"])
async def test_an_answer_without_sense_is_an_error_of_the_client(client_of: ClientOf, body: bytes) -> None:
    with pytest.raises(EngineUnreachable, match="no answer that makes sense"):
        await client_of(Engine(Response(status=200, fields={}, body=body))).send("x")


@pytest.mark.parametrize("data", [object(), float("nan"), "\0", "x" * 524_288], ids=["object", "nan", "nul", "large"])
async def test_data_that_cannot_travel_is_refused_before_anything_is_sent(client_of: ClientOf, data: object) -> None:
    engine = Engine(ok(id="e"))
    with pytest.raises(Mistake, match="the event"):
        await client_of(engine).send("x", data)
    assert engine.asked == []


async def test_a_client_that_does_not_know_who_it_is_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STEPWELL_SIGNING_KEY", "STEPWELL_APP_ID"):
        monkeypatch.delenv(name, raising=False)
    engine = Engine(ok(appId="a1", signingKey=KEY))
    client = Client(http=engine, now=lambda: NOW)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="STEPWELL_APP_ID and STEPWELL_SIGNING_KEY"):
        await client.send("x")
    assert (await client.register("shop")).app_id == "a1"
    engine.answers = [ok(id="evt")]
    assert await client.send("x") == "evt"
