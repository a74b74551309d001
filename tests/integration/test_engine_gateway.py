"""What apps and senders reach over HTTP: who may ask, what is accepted to the byte, and how refusals are told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from integration.apps import sign, sign_timed
from integration.stand import Stand, serving_gateway
from integration.world import KEY, World, on
from stepwell_engine.errors import Unavailable
from stepwell_engine.model import App, AppSettings

EVENT = {"name": "go", "data": {"n": 1}}
LIMIT = 512 * 1024


@pytest.fixture
async def app(world: World) -> App:
    app = await world.app()
    await world.function(app, triggers=on("go"))
    return app


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer as RFC 9457 problem details."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"https://stepwell.dev/problems/{code}"
    assert (body["title"], body["status"]) == (code, status)
    assert body["detail"]
    assert "Traceback" not in answer.text
    return body


async def accepted(world: World) -> int:
    return int(await world.value("select count(*) from stepwell.event"))


# Who is asking


async def test_a_signed_event_is_accepted_and_the_answer_is_signed_too(
    world: World, app: App, database_url: str
) -> None:
    async with serving_gateway(database_url) as stand:
        plain = await stand.post("/e", EVENT, app=app.id, key=KEY)
        timed = await stand.post("/e", EVENT, app=app.id, key=KEY, timed=True)
    assert (plain.status_code, timed.status_code, await accepted(world)) == (200, 200, 2)
    assert plain.headers["x-durable-signature"] == sign(plain.content, KEY)
    seconds = int(timed.headers["stepwell-signature"].split(",")[0].removeprefix("t="))
    assert timed.headers["stepwell-signature"] == sign_timed(timed.content, KEY, at=seconds)


async def test_requests_that_are_not_the_apps_own_are_refused_and_leave_no_trace(
    world: World, app: App, database_url: str
) -> None:
    other = await world.app("other", signing_keys=("their key",))
    raw = json.dumps(EVENT).encode()
    now = time.time()
    refused = {
        "no app named": {"x-durable-signature": sign(raw, KEY)},
        "an unknown app": {"x-durable-app": "app_nobody", "x-durable-signature": sign(raw, KEY)},
        "a long app id": {"x-durable-app": "a" * 5000, "x-durable-signature": sign(raw, KEY)},
        "no signature": {"x-durable-app": app.id},
        "another key": {"x-durable-app": app.id, "x-durable-signature": sign(raw, "wrong")},
        "another app's key": {"x-durable-app": app.id, "x-durable-signature": sign(raw, "their key")},
        "in the name of another": {"x-durable-app": other.id, "x-durable-signature": sign(raw, KEY)},
        "another body": {"x-durable-app": app.id, "x-durable-signature": sign(raw + b" ", KEY)},
        "no hex": {"x-durable-app": app.id, "x-durable-signature": "zz" * 32},
        "half a signature": {"x-durable-app": app.id, "x-durable-signature": sign(raw, KEY)[:32]},
        "six minutes old": {"x-durable-app": app.id, "stepwell-signature": sign_timed(raw, KEY, at=now - 360)},
        "six minutes ahead": {"x-durable-app": app.id, "stepwell-signature": sign_timed(raw, KEY, at=now + 360)},
        "its time changed": {
            "x-durable-app": app.id,
            "stepwell-signature": sign_timed(raw, KEY, at=now - 360).replace(str(int(now - 360)), str(int(now))),
        },
        "no time": {"x-durable-app": app.id, "stepwell-signature": f"v1={sign(raw, KEY)}"},
        "timed nonsense beside a good one of version 1": {
            "x-durable-app": app.id,
            "stepwell-signature": "t=1,v1=nonsense",
            "x-durable-signature": sign(raw, KEY),
        },
    }
    async with serving_gateway(database_url) as stand:
        for what, headers in refused.items():
            answer = await stand.client.post("/e", content=raw, headers=headers)
            assert answer.status_code == 401, f"{what}: {answer.status_code} {answer.text}"
            problem(answer, 401, "Unauthorized")
    assert await accepted(world) == 0


async def test_a_captured_request_is_refused_when_it_comes_again_later(
    world: World, app: App, database_url: str
) -> None:
    raw = json.dumps({**EVENT, "id": "e-1"}).encode()
    headers = {"x-durable-app": app.id, "stepwell-signature": sign_timed(raw, KEY)}
    late = {"x-durable-app": app.id, "stepwell-signature": sign_timed(raw, KEY, at=time.time() - 301)}
    async with serving_gateway(database_url) as stand:
        first = await stand.client.post("/e", content=raw, headers=headers)
        again = await stand.client.post("/e", content=raw, headers=headers)
        problem(await stand.client.post("/e", content=raw, headers=late), 401, "Unauthorized")
    assert first.json() == again.json()
    assert await accepted(world) == 1


async def test_an_app_that_wants_the_timed_signature_only_is_heeded(world: World, database_url: str) -> None:
    app = await world.app(timed_signature_only=True)
    async with serving_gateway(database_url) as stand:
        refused = await stand.post("/e", EVENT, app=app.id, key=KEY)
        assert (await stand.post("/e", EVENT, app=app.id, key=KEY, timed=True)).status_code == 200
    assert "send stepwell-signature" in problem(refused, 401, "Unauthorized")["detail"]


async def test_while_keys_rotate_both_are_accepted_and_afterwards_the_new_one_only(
    world: World, app: App, database_url: str
) -> None:
    put = world.journal.definitions.put_app
    async with serving_gateway(database_url) as stand:

        async def with_key(key: str) -> int:
            return (await stand.post("/e", EVENT, app=app.id, key=key)).status_code

        assert (await with_key(KEY), await with_key("new")) == (200, 401)
        await put(AppSettings(name="shop", signing_keys=("new", KEY)))
        assert (await with_key("new"), await with_key(KEY)) == (200, 200)
        await put(AppSettings(name="shop", signing_keys=("new",)))
        assert await with_key("new") == 200
        async with asyncio.timeout(5):
            while await with_key(KEY) != 401:
                pass


# Events


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
async def test_an_events_data_has_its_limit_to_the_byte(
    world: World, app: App, database_url: str, size: int, status: int
) -> None:
    data = '"' + "x" * (size - 2) + '"'
    async with serving_gateway(database_url) as stand:
        answer = await stand.post("/e", f'{{"name":"go","data":{data}}}'.encode(), app=app.id, key=KEY)
    assert answer.status_code == status
    if status == 413:
        refused = problem(answer, 413, "TooLarge")
        assert refused["field"] == "data"
        assert "524,289 bytes; the limit is 512 KiB" in refused["detail"]
    assert await accepted(world) == (status == 200)


async def test_a_request_past_every_limit_is_refused_before_it_is_held_in_memory(
    world: World, app: App, database_url: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(80):
            sent += 1
            yield b" " * (1 << 20)

    async with serving_gateway(database_url) as stand:
        answer = await stand.client.post("/e", content=endless())
    assert "the limit is 64 MiB" in problem(answer, 413, "TooLarge")["detail"]


BAD_EVENTS = [
    (b"", "not JSON"),
    (b"nonsense", "not JSON at line 1 column 1"),
    (b"[]", "the body must be a JSON object"),
    (b"{}", "name: must be a text of 1 to 256 characters"),
    (b'{"name":""}', "name: must be a text"),
    (b'{"name":7}', "name: must be a text"),
    (b'{"name":"%b"}' % (b"x" * 257), "name: must be a text of 1 to 256"),
    (b'{"name":"go","id":7}', "id: must be a text"),
    (b'{"name":"go","name":"stay"}', "'name' occurs twice"),
    (b'{"name":"go","data":NaN}', "NaN is not a JSON number"),
    (b'{"name":"go","data":1e999}', "beyond the range of a double"),
    (b'{"name":"go","data":"\\u0000"}', "U+0000"),
    (b'{"name":"go","data":"\\ud800"}', "surrogate"),
    (b'{"name":"go","data":"\xff"}', "not valid UTF-8"),
    (b'{"name":"go","data":' + b"[" * 64 + b"]" * 64 + b"}", "deeper than 64"),
    (b"[" * 100_000, "deeper than 64"),
]


async def test_an_event_that_can_not_be_accepted_is_refused_with_field_reason_and_fix(
    world: World, app: App, database_url: str
) -> None:
    async with serving_gateway(database_url) as stand:
        for body, message in BAD_EVENTS:
            answer = await stand.post("/e", body, app=app.id, key=KEY)
            assert message in problem(answer, 400, "InvalidInput")["detail"], body[:60]
    assert await accepted(world) == 0


async def test_an_event_answered_2xx_is_on_record_before_the_answer(world: World, app: App, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        for n in range(20):
            answer = await stand.post("/e", {"name": "go", "data": n}, app=app.id, key=KEY)
            assert await world.value(
                "select count(*) from stepwell.run where event_id = %(id)s::uuid", id=answer.json()["id"]
            )


async def test_events_sent_together_are_each_accepted_once(world: World, app: App, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        answers = await asyncio.gather(
            *[stand.post("/e", {"name": "go", "data": n}, app=app.id, key=KEY) for n in range(100)]
        )
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 100
    assert await world.value("select count(distinct event_id) from stepwell.run") == 100


async def test_a_sender_is_told_to_try_again_while_postgres_is_away(world: World, app: App, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        assert (await stand.post("/e", EVENT, app=app.id, key=KEY)).status_code == 200

        async def away(*_: object, **__: object) -> None:
            raise Unavailable("Postgres is away: no route to host")

        stand.engine.journal.intake.accept_events = away  # type: ignore[method-assign, assignment]
        answer = await stand.post("/e", EVENT, app=app.id, key=KEY)
    problem(answer, 503, "Unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_a_defect_of_the_engine_is_told_without_its_insides(
    world: World, app: App, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving_gateway(database_url) as stand:

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("the secret is 42")

        stand.engine.journal.intake.accept_events = broken  # type: ignore[method-assign, assignment]
        answer = await stand.post("/e", EVENT, app=app.id, key=KEY)
    assert "42" not in problem(answer, 500, "InternalError")["detail"]
    assert "the secret is 42" in caplog.text


# Sync


async def sync(stand: Stand, app: App, body: object) -> httpx.Response:
    return await stand.post("/fn/sync", body, app=app.id, key=KEY)


async def test_a_version_1_sync_declares_its_functions_and_names_what_it_leaves_out(
    world: World, app: App, database_url: str
) -> None:
    functions = [
        {"id": "on-event", "trigger": {"event": "paid"}, "retries": 4, "timeout": "90s", "priority": 3},
        {"id": "on-cron", "trigger": {"cron": "0 3 * * *"}, "maxAttempts": 2, "concurrency": {"limit": 1}},
        {"id": "by-hand"},
    ]
    async with serving_gateway(database_url) as stand:
        answer = await sync(stand, app, {"url": "http://127.0.0.1:9/x", "functions": functions})
    assert answer.status_code == 200
    told = answer.json()
    assert [(each["id"], each["revision"], each["changed"]) for each in told["functions"]] == [
        ("on-event", 1, True),
        ("on-cron", 1, True),
        ("by-hand", 1, True),
    ]
    assert told["notYetSupported"] == ["functions[1].concurrency"]
    documents = {
        row["name"]: json.loads(row["document"])
        for row in await world.rows(
            "select name, document from stepwell.definition join stepwell.revision on definition_id = id where source = 'sync'"
        )
    }
    assert documents["on-event"] == {
        "triggers": [{"event": {"name": "paid"}}],
        "retries": {"maxAttempts": 5},
        "timeouts": {"step": "90s"},
        "priority": 3,
    }
    assert documents["on-cron"]["retries"] == {"maxAttempts": 2}
    assert await world.value("select count(*) from stepwell.schedule") == 1
    assert (await world.journal.definitions.get_app(app.id)).url == "http://127.0.0.1:9/x"


async def test_a_version_2_sync_says_what_the_app_can(world: World, app: App, database_url: str) -> None:
    body = {
        "url": "http://127.0.0.1:9/x",
        "protocol": 2,
        "capabilities": ["checkpoint"],
        "sdk": {"name": "by-hand", "version": "1"},
        "functions": [{"id": "f", "triggers": on("paid"), "retries": {"maxAttempts": 9}}],
    }
    async with serving_gateway(database_url) as stand:
        assert (await stand.post("/fn/sync", body, app=app.id, key=KEY, timed=True)).status_code == 200
    known = await world.journal.definitions.get_app(app.id)
    assert (known.protocol, known.checkpointing, known.sdk) == (2, True, {"name": "by-hand", "version": "1"})


BAD_SYNCS = [
    ([{"id": "f", "trigger": {"cron": "61 * * * *"}}], "functions[0].triggers[0].cron.schedule"),
    ([{"id": "ok"}, {"id": "f", "timeout": "soon"}], "functions[1].timeouts.step"),
    ([{"id": "f", "maxAttempts": 0}], "functions[0].retries.maxAttempts"),
    ([{"id": "f"}, {"id": "f"}], "functions[1].id"),
    ([{"id": "$f"}], "functions[0].id"),
    ([{}], "functions[0].id"),
    ("f", "functions"),
]


async def test_a_sync_with_a_mistake_is_refused_whole_naming_the_place(
    world: World, app: App, database_url: str
) -> None:
    async with serving_gateway(database_url) as stand:
        for functions, field in BAD_SYNCS:
            answer = await sync(stand, app, {"url": "http://127.0.0.1:9/x", "functions": functions})
            assert answer.status_code == 400, answer.text
            assert field in answer.json()["detail"]
    assert await world.value("select count(*) from stepwell.definition where source = 'sync'") == 0


async def test_a_sync_needs_an_address_to_call(world: World, app: App, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        for url in (None, "", "ftp://x/", "/api", "http://a b/", "http://é/", "x" * 3000):
            answer = await sync(stand, app, {"url": url, "functions": []})
            assert problem(answer, 400, "InvalidInput")["field"] == "url"


# Starting and looking


async def test_a_run_is_started_with_labels_and_an_idempotency_key(world: World, app: App, database_url: str) -> None:
    body = {"function": "work", "input": {"n": 1}, "labels": {"tenant": "a"}, "idempotencyKey": "k"}
    async with serving_gateway(database_url) as stand:
        first = await stand.post("/fn/start", body, app=app.id, key=KEY)
        again = await stand.post("/fn/start", body, app=app.id, key=KEY)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["id"] == again.json()["id"]
        run_id = first.json()["id"]
        headers = {"x-durable-app": app.id, "stepwell-signature": sign_timed(b"", KEY)}
        seen = (await stand.client.get(f"/fn/runs/{run_id}", headers=headers)).json()
    assert (seen["id"], seen["name"], seen["kind"], seen["status"]) == (run_id, "work", "function", "active")


BAD_STARTS: list[tuple[Mapping[str, object], int, str]] = [
    ({"function": "nobody"}, 404, "not declared in this app"),
    ({"input": 1}, 400, "exactly one of `function` and `workflow`"),
    ({"function": "work", "workflow": "work"}, 400, "exactly one"),
    ({"function": "work", "labels": {"a": 1}}, 400, "labels.a"),
    ({"function": "work", "labels": {str(n): "x" for n in range(33)}}, 400, "at most 32"),
    ({"function": "work", "input": "x" * LIMIT}, 413, "the limit is 512 KiB"),
]


async def test_a_start_that_can_not_be_is_refused(world: World, app: App, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        for body, status, message in BAD_STARTS:
            answer = await stand.post("/fn/start", body, app=app.id, key=KEY)
            assert answer.status_code == status
            assert message in answer.json()["detail"]
    assert await world.value("select count(*) from stepwell.run") == 0


async def test_another_apps_run_is_as_good_as_absent(world: World, app: App, database_url: str) -> None:
    other = await world.app("other", signing_keys=("their key",))
    run_id = await world.start(app)
    async with serving_gateway(database_url) as stand:
        for asked in (run_id, uuid4()):
            headers = {"x-durable-app": other.id, "stepwell-signature": sign_timed(b"", "their key")}
            answer = await stand.client.get(f"/fn/runs/{asked}", headers=headers)
            assert problem(answer, 404, "NotFound")["detail"] == f"this app has no run {asked}"


async def test_another_apps_definition_can_not_be_started(world: World, app: App, database_url: str) -> None:
    other = await world.app("other", signing_keys=("their key",))
    async with serving_gateway(database_url) as stand:
        answer = await stand.post("/fn/start", {"function": "work"}, app=other.id, key="their key")
    problem(answer, 404, "NotFound")


async def test_what_is_not_here_says_what_is(world: World, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        for method, path in (("GET", "/e"), ("POST", "/nothing"), ("DELETE", "/fn/sync")):
            answer = await stand.client.request(method, path)
            assert "POST /e, /fn/sync" in problem(answer, 404, "NotFound")["detail"]


# Registering apps


REGISTRATION = {"name": "billing", "environment": "dev"}


async def test_in_dev_mode_an_app_registers_from_loopback_without_a_token(world: World, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        first = await stand.post("/api/apps", REGISTRATION)
        again = await stand.post("/api/apps", REGISTRATION)
        other = await stand.post("/api/apps", {**REGISTRATION, "environment": "prod"})
        assert first.json() == again.json()
        assert other.json()["appId"] != first.json()["appId"]
        event = await stand.post("/e", EVENT, app=first.json()["appId"], key=first.json()["signingKey"])
    assert event.status_code == 200


async def test_registering_needs_the_admin_token_where_there_is_one(world: World, database_url: str) -> None:
    async with serving_gateway(database_url, admin_token="s3cret", dev=False) as stand:
        for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic s3cret"}):
            answer = await stand.post("/api/apps", REGISTRATION, headers=header)
            assert "admin token is missing or wrong" in problem(answer, 401, "Unauthorized")["detail"]
        allowed = await stand.post("/api/apps", REGISTRATION, headers={"authorization": "Bearer s3cret"})
    assert set(allowed.json()) == {"appId", "signingKey"}


async def test_without_a_token_and_outside_dev_mode_nobody_registers(world: World, database_url: str) -> None:
    async with serving_gateway(database_url, dev=False) as stand:
        answer = await stand.post("/api/apps", REGISTRATION)
    assert "set STEPWELL_ADMIN_TOKEN" in problem(answer, 401, "Unauthorized")["detail"]


async def test_an_app_with_an_impossible_name_is_refused(world: World, database_url: str) -> None:
    bad = {
        "name": [{"name": "-billing"}, {"name": "é"}, {"name": "x" * 64}, {"environment": "dev"}],
        "environment": [{"name": "billing", "environment": "staging"}],
    }
    async with serving_gateway(database_url) as stand:
        for field, bodies in bad.items():
            for body in bodies:
                assert problem(await stand.post("/api/apps", body), 400, "InvalidInput")["field"] == field


async def test_health_needs_no_signature(world: World, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        assert (await stand.client.get("/healthz")).json() == {"status": "ok"}


# Reports of open calls


async def test_a_report_that_can_not_be_read_is_refused(world: World, app: App, database_url: str) -> None:
    async with serving_gateway(database_url) as stand:
        for body in (b"{}", b"nonsense", b'[{"runId":"x"}]', b"[1]"):
            answer = await stand.post("/fn/checkpoint", body, app=app.id, key=KEY, timed=True)
            assert "checkpoint" in problem(answer, 400, "InvalidInput")["detail"]


async def test_a_report_of_a_run_that_nobody_drives_here_is_told_to_stop(
    world: World, app: App, database_url: str
) -> None:
    item = {"runId": str(uuid4()), "token": 1, "seq": 1, "ops": []}
    async with serving_gateway(database_url) as stand:
        answer = await stand.post("/fn/checkpoint", [item], app=app.id, key=KEY, timed=True)
    ((reply,),) = (answer.json(),)
    assert set(reply) == {"stop"}
