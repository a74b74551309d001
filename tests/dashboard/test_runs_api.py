"""The runs API over HTTP, on a real Postgres."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from .conftest import Dashboard
from .stage import Stage, StagedRun


@pytest.fixture
def shop(stage: Stage) -> str:
    return stage.app("shop")


async def ids(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/api/v1/runs", params=params)
    assert answer.status_code == 200, answer.text
    return [run["id"] for run in answer.json()["items"]]


async def test_the_list_is_newest_first_and_says_of_each_run_what_it_waits_for(
    client: httpx.AsyncClient, stage: Stage, shop: str
) -> None:
    older = stage.run(shop, "order", activity="sleeping", at=datetime.now(UTC) - timedelta(minutes=1))
    older.wait("cool", type="sleep", due=datetime(2030, 1, 1, tzinfo=UTC))
    newer = stage.run(shop, "order", labels={"tenant": "acme"})

    items = (await client.get("/api/v1/runs")).json()["items"]

    assert [item["id"] for item in items] == [str(newer.id), str(older.id)]
    assert items[0]["labels"] == {"tenant": "acme"}
    assert items[0]["app"] == {"id": shop, "namespace": "", "name": "shop", "environment": "dev"}
    assert items[1]["pending"] == {"step": "cool", "type": "sleep", "event": None, "due": "2030-01-01T00:00:00Z"}


async def test_every_filter_shows_only_what_it_names(client: httpx.AsyncClient, stage: Stage, shop: str) -> None:
    event = stage.event(shop, "order.paid")
    first = stage.run(shop, "order", event=(event, "order.paid"), labels={"tenant": "acme", "tier": "gold"})
    second = stage.run(shop, "fulfil", kind="workflow", activity="waiting")
    third = stage.run(stage.app("billing"), "charge")
    third.to("failed", error={"name": "Declined", "message": "no"})
    by = {"first": str(first.id), "second": str(second.id), "third": str(third.id)}

    assert await ids(client, status="failed") == [by["third"]]
    assert await ids(client, status=["failed", "active"], app=shop) == [by["second"], by["first"]]
    assert await ids(client, activity="waiting") == [by["second"]]
    assert await ids(client, kind="workflow") == [by["second"]]
    assert await ids(client, definition="charge") == [by["third"]]
    assert await ids(client, event="order.paid") == [by["first"]]
    assert await ids(client, eventId=str(event)) == [by["first"]]
    assert await ids(client, label=["tier=gold", "tenant=acme"]) == [by["first"]]
    assert await ids(client, label="tier=silver") == []
    assert await ids(client, id=by["second"][:-3].upper()) == [by["second"]]


async def test_pages_neither_skip_nor_repeat_a_run_while_others_are_inserted(
    client: httpx.AsyncClient, stage: Stage, shop: str
) -> None:
    before = [str(stage.run(shop, "order").id) for _ in range(25)]
    seen: list[str] = []
    page = (await client.get("/api/v1/runs", params={"limit": 4})).json()
    while True:
        seen += [run["id"] for run in page["items"]]
        stage.run(shop, "order")
        if page["next"] is None:
            break
        page = (await client.get("/api/v1/runs", params={"limit": 4, "before": page["next"]})).json()
    assert seen == sorted(before, reverse=True)


async def test_a_run_comes_with_its_journal_its_waits_and_the_ordinal_to_go_on_from(
    client: httpx.AsyncClient, stage: Stage, shop: str
) -> None:
    document = {"steps": [{"name": "both", "parallel": [{"name": "mail", "call": {"handler": "send-mail"}}]}]}
    stage.definition(shop, kind="workflow", name="fulfil", document=document)
    run = stage.run(shop, "fulfil", kind="workflow", activity="waiting", input={"orderId": "o1"})
    run.entry(
        "attempt_failed", step="mail", type="call", attempt=1, error={"name": "Timeout", "message": "slow"}, app_ms=12
    )
    run.entry("step_completed", step="mail", type="call", attempt=2, data={"sent": True}, app_ms=7.5)
    run.wait("approve", type="wait", event="approval.received", match={"orderId": "o1"})

    detail = (await client.get(f"/api/v1/runs/{run.id}")).json()

    assert detail["ordinal"] == 2
    assert [entry["entry"] for entry in detail["entries"]] == ["attempt_failed", "step_completed"]
    assert detail["entries"][0]["error"]["message"] == "slow"
    assert detail["entries"][1]["data"] == {"text": '{"sent":true}', "size": 13, "truncated": False}
    assert detail["entries"][1]["appMs"] == 7.5
    assert detail["input"]["text"] == '{"orderId":"o1"}'
    assert detail["waits"][0]["match"] == '{"orderId":"o1"}'
    assert [(step["name"], step["kind"], step["depth"]) for step in detail["plan"]] == [
        ("both", "parallel", 0),
        ("mail", "call", 1),
    ]


async def test_a_large_payload_is_cut_in_the_page_and_whole_at_its_own_address(
    client: httpx.AsyncClient, stage: Stage, shop: str
) -> None:
    run = stage.run(shop, "order", input="é" * 5000)
    run.entry("step_completed", step="load", type="run", data="é" * 5000)

    detail = (await client.get(f"/api/v1/runs/{run.id}")).json()
    whole = await client.get(f"/api/v1/runs/{run.id}/payloads/input")
    entry = await client.get(f"/api/v1/runs/{run.id}/entries/1/data")

    assert detail["input"]["truncated"]
    assert detail["input"]["size"] == 10_002
    assert len(detail["input"]["text"].encode()) <= 2048
    assert whole.text == entry.text == '"' + "é" * 5000 + '"'
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"


async def test_cancel_ends_an_active_run_once(client: httpx.AsyncClient, stage: Stage, shop: str) -> None:
    run = stage.run(shop, "order", activity="waiting")

    first = await client.post(f"/api/v1/runs/{run.id}/cancel")
    second = await client.post(f"/api/v1/runs/{run.id}/cancel")

    assert (first.status_code, first.json()) == (200, {"outcome": "cancelled"})
    assert second.status_code == 409
    assert second.headers["content-type"] == "application/problem+json"
    detail = (await client.get(f"/api/v1/runs/{run.id}")).json()
    assert detail["run"]["status"] == "cancelled"
    assert detail["entries"][-1]["entry"] == "run_cancelled"


async def test_rerun_starts_a_new_run_that_names_the_old_one(
    client: httpx.AsyncClient, stage: Stage, shop: str
) -> None:
    run = stage.run(shop, "order", input={"orderId": "o1"})
    run.to("completed", output={"ok": True})

    started = await client.post(f"/api/v1/runs/{run.id}/rerun")

    assert started.status_code == 201
    detail = (await client.get(f"/api/v1/runs/{started.json()['id']}")).json()
    assert detail["run"]["rerunOf"] == str(run.id)
    assert detail["input"]["text"] == '{"orderId":"o1"}'


async def test_a_run_is_started_once_for_an_idempotency_key(client: httpx.AsyncClient, stage: Stage, shop: str) -> None:
    stage.definition(shop, kind="function", name="order")
    body = {"function": "order", "input": {"n": 1}, "labels": {"tenant": "acme"}, "idempotencyKey": "k1"}

    first = await client.post("/api/v1/runs", params={"app": shop}, json=body)
    again = await client.post("/api/v1/runs", params={"app": shop}, json=body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert await ids(client, label="tenant=acme") == [first.json()["id"]]


async def test_an_event_sent_here_is_listed_with_what_it_started(
    client: httpx.AsyncClient, stage: Stage, shop: str
) -> None:
    definition = stage.definition(shop, kind="function", name="order")
    stage.connection.execute(
        "insert into stepwell.trigger (definition_id, ordinal, app_id, event_name) values (%s, 0, %s, 'order.paid')",
        [definition, shop],
    )

    sent = await client.post("/api/v1/events", params={"app": shop}, json={"name": "order.paid", "data": {"n": 1.0}})

    assert sent.status_code == 201
    (event,) = (await client.get("/api/v1/events")).json()["items"]
    assert event["id"] == sent.json()["id"]
    assert event["data"]["text"] == '{"n":1.0}'
    assert [run["id"] for run in event["runs"]] == sent.json()["runs"]
    assert [run["definition"] for run in event["runs"]] == ["order"]


async def test_stats_count_runs_by_state_and_by_minute(client: httpx.AsyncClient, stage: Stage, shop: str) -> None:
    stage.run(shop, "order", activity="waiting")
    stage.run(shop, "order").to("completed", output=1)
    stage.run(shop, "order", at=datetime.now(UTC) - timedelta(hours=2)).to("completed", output=1)

    stats = (await client.get("/api/v1/stats")).json()

    counts = {(row["status"], row["activity"]): row["runs"] for row in stats["counts"]}
    assert counts == {("active", "waiting"): 1, ("completed", None): 2}
    assert len(stats["minutes"]) == 30
    assert sum(minute["completed"] for minute in stats["minutes"]) == 1


async def test_definitions_schedules_and_apps_are_told_in_words(client: httpx.AsyncClient, stage: Stage) -> None:
    shop = stage.app("shop", environment="prod", probe_failures=3, probed_at=datetime.now(UTC), probe_error="refused")
    document = {
        "triggers": [
            {"event": {"name": "order.paid", "if": "event.data.total > 10"}},
            {"cron": {"schedule": "0 3 * * *"}},
        ],
        "steps": [{"name": "cool", "sleep": {"for": "3s"}}],
    }
    definition = stage.definition(shop, kind="workflow", name="fulfil", document=document)
    run = stage.run(shop, "fulfil", kind="workflow")
    stage.connection.execute(
        """insert into stepwell.schedule (app_id, definition_id, name, source, document, last_run, last_at, next_at)
           values (%s, %s, 'tick', 'resource', %s, %s, now(), now() + interval '20 seconds')""",
        [shop, definition, b'{"every":"20s"}', run.id],
    )

    (app,) = (await client.get("/api/v1/apps")).json()["items"]
    (declared,) = (await client.get("/api/v1/definitions")).json()["items"]
    detail = (await client.get(f"/api/v1/definitions/{declared['id']}")).json()
    (schedule,) = (await client.get("/api/v1/schedules")).json()["items"]

    assert (app["environment"], app["reachable"], app["probeError"]) == ("prod", False, "refused")
    assert [trigger["text"] for trigger in declared["triggers"]] == ["order.paid if event.data.total > 10", "0 3 * * *"]
    assert [(step["name"], step["summary"]) for step in declared["steps"]] == [("cool", "3s")]
    assert [recent["id"] for recent in declared["recent"]] == [str(run.id)]
    assert [revision["number"] for revision in detail["revisions"]] == [1]
    assert (schedule["rule"], schedule["target"], schedule["lastRun"]["status"]) == ("every 20s", "fulfil", "active")


BAD = [
    ("GET", "/api/v1/runs?limit=0", "query.limit"),
    ("GET", "/api/v1/runs?limit=99999999999999999999999999", "query.limit"),
    ("GET", "/api/v1/runs?limit=x", "query.limit"),
    ("GET", "/api/v1/runs?status=done", "query.status.0"),
    ("GET", "/api/v1/runs?before=1", "query.before"),
    ("GET", "/api/v1/runs?label=tenant", "label"),
    ("GET", "/api/v1/runs?id=zzz", "id"),
    ("GET", "/api/v1/runs?id=" + "a" * 40, "id"),
    ("GET", "/api/v1/runs?definition=a%00b", "query.definition"),
    ("GET", "/api/v1/runs?definition=" + "a" * 300, "query.definition"),
    ("GET", "/api/v1/runs/nope", "path.id"),
    ("GET", "/api/v1/runs/nope/stream", "path.id"),
    ("GET", "/api/v1/stream?after=99", "after"),
    ("GET", "/api/v1/definitions/99999999999999999999", "path.id"),
    ("GET", "/api/v1/events?before=%FF", "query.before"),
    ("POST", "/api/v1/runs/nope/cancel", "path.id"),
    ("POST", "/api/v1/runs", "query.app"),
    ("POST", "/api/v1/events?app=x", "content-type"),
]


@pytest.mark.parametrize(("method", "path", "field"), BAD)
async def test_bad_input_is_a_problem_that_names_its_field(
    client: httpx.AsyncClient, method: str, path: str, field: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"name":1}', b'{"name":"\\u0000"}', b'{"name":"\\ud800"}', b"\xff", b"[" * 100_000]
)
async def test_a_body_that_is_no_event_is_refused(
    client: httpx.AsyncClient, stage: Stage, shop: str, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    answer = await client.post("/api/v1/events", params={"app": shop}, content=body, headers=headers)
    assert answer.status_code == 400, answer.text


async def test_a_body_over_the_limit_is_refused_without_being_read_to_its_end(
    client: httpx.AsyncClient, stage: Stage, shop: str
) -> None:
    async def endless() -> Any:
        for _ in range(1000):
            yield b" " * 65536

    headers = {"content-type": "application/json"}
    try:
        answer = await client.post("/api/v1/events", params={"app": shop}, content=endless(), headers=headers)
    except (httpx.WriteError, httpx.ReadError):
        return
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/api/v1/runs/{}", "/api/v1/runs/{}/stream", "/api/v1/events/{}", "/api/v1/nothing", "/api/v2/runs"]
)
async def test_what_is_not_there_is_a_404_problem(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path.format("01900000-0000-7000-8000-000000000000"))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_without_postgres_the_answer_is_503_and_comes_back_with_it(
    dashboard: Dashboard, client: httpx.AsyncClient
) -> None:
    await dashboard.journal.database.close()
    answer = await client.get("/api/v1/runs")
    assert answer.status_code == 503
    assert answer.json()["retryable"] is True


def staged_states(stage: Stage, app: str) -> list[StagedRun]:
    return [stage.run(app, "order", activity=activity) for activity in ("queued", "waiting", "sleeping")]


async def test_many_readers_at_once_get_the_same_answer(client: httpx.AsyncClient, stage: Stage, shop: str) -> None:
    expected = [str(run.id) for run in reversed(staged_states(stage, shop))]
    answers = await asyncio.gather(*(ids(client) for _ in range(20)))
    assert answers == [expected] * 20
