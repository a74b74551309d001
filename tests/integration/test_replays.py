"""A request that was signed by the timed signature is taken once, unless it says itself what it repeats."""

import json
from collections.abc import Mapping

import httpx
import pytest

from integration.world import World
from stepwell_engine.gateway import create_app
from stepwell_engine.model import App
from stepwell_engine.sealing import Sealer
from stepwell_engine.settings import Settings
from stepwell_protocol import headers
from stepwell_protocol.signing import sign_v2


class Sender:
    def __init__(self, world: World, app: App, database_url: str) -> None:
        settings = Settings(database_url=database_url, sealer=Sealer(bytes(32)))
        self._app = app
        self._transport = httpx.ASGITransport(create_app(world.journal, settings, work_made=lambda **_: None))

    def signed(self, body: Mapping[str, object], *, now: float) -> tuple[bytes, dict[str, str]]:
        raw = json.dumps(body).encode()
        return raw, {headers.APP: self._app.id, headers.SIGNATURE: sign_v2(raw, self._app.signing_keys, now=now)}

    async def post(self, path: str, signed: tuple[bytes, dict[str, str]]) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://engine") as client:
            return await client.post(path, content=signed[0], headers=signed[1])


@pytest.fixture
async def app(world: World) -> App:
    app = await world.app()
    await world.function(app)
    return app


async def test_a_replayed_event_is_refused_and_starts_nothing(world: World, app: App, database_url: str) -> None:
    sender = Sender(world, app, database_url)
    request = sender.signed({"name": "go", "data": 1}, now=(await world.now()).timestamp())
    assert (await sender.post("/e", request)).status_code == 200
    again = await sender.post("/e", request)
    assert (again.status_code, again.json()["title"]) == (409, "Conflict")
    assert await world.value("select count(*) from stepwell.event") == 1


async def test_an_event_with_an_id_of_its_own_may_be_sent_again(world: World, app: App, database_url: str) -> None:
    sender = Sender(world, app, database_url)
    request = sender.signed({"name": "go", "data": 1, "id": "mine"}, now=(await world.now()).timestamp())
    first, again = await sender.post("/e", request), await sender.post("/e", request)
    assert first.json() == again.json()
    assert await world.value("select count(*) from stepwell.event") == 1


async def test_the_same_event_signed_at_another_time_is_another_event(
    world: World, app: App, database_url: str
) -> None:
    sender = Sender(world, app, database_url)
    now = (await world.now()).timestamp()
    for moment in (now, now - 1):
        assert (await sender.post("/e", sender.signed({"name": "go", "data": 1}, now=moment))).status_code == 200
    assert await world.value("select count(*) from stepwell.event") == 2


async def test_a_replayed_start_is_refused(world: World, app: App, database_url: str) -> None:
    sender = Sender(world, app, database_url)
    name = await world.value("select name from stepwell.definition")
    request = sender.signed({"function": name, "input": 1}, now=(await world.now()).timestamp())
    assert (await sender.post("/fn/start", request)).status_code == 201
    assert (await sender.post("/fn/start", request)).status_code == 409
    assert await world.value("select count(*) from stepwell.run") == 1


async def test_a_replayed_sync_does_not_put_back_what_another_has_replaced(
    world: World, app: App, database_url: str
) -> None:
    sender = Sender(world, app, database_url)
    now = (await world.now()).timestamp()

    def serving(*functions: str, at: float = now) -> tuple[bytes, dict[str, str]]:
        named = [{"id": function, "triggers": [{"event": {"name": "go"}}]} for function in functions]
        return sender.signed({"url": "http://127.0.0.1:9/x", "protocol": 2, "functions": named}, now=at)

    async def served() -> list[str]:
        rows = await world.rows("select name from stepwell.definition where source = 'sync' and retired_at is null")
        return [row["name"] for row in rows]

    old, new = serving("old"), serving("new")
    for each in (old, new):
        answer = await sender.post("/fn/sync", each)
        assert answer.status_code == 200, answer.text
    again = await sender.post("/fn/sync", old)
    assert (again.status_code, again.json()["title"]) == (409, "Conflict")
    assert "sign it anew" in again.json()["detail"]
    assert await served() == ["new"]
    assert (await sender.post("/fn/sync", new)).status_code == 200, "copies of an app that start together say the same"
    assert (await sender.post("/fn/sync", serving("old", at=now + 1))).status_code == 200
    assert await served() == ["old"]


async def test_syncs_are_remembered_for_longer_than_they_can_be_replayed_and_no_longer(
    world: World, app: App, database_url: str
) -> None:
    sender = Sender(world, app, database_url)
    body = {"url": "http://127.0.0.1:9/x", "functions": []}
    now = (await world.now()).timestamp()
    for age in range(3):
        assert (await sender.post("/fn/sync", sender.signed(body, now=now - age))).status_code == 200
    await world.sql("update stepwell.sync_request set accepted_at = accepted_at - interval '16 minutes'")
    assert (await sender.post("/fn/sync", sender.signed(body, now=now - 3))).status_code == 200
    assert await world.value("select count(*) from stepwell.sync_request") == 1


async def test_a_late_request_is_refused(world: World, app: App, database_url: str) -> None:
    sender = Sender(world, app, database_url)
    old = (await world.now()).timestamp() - 301
    late = await sender.post("/e", sender.signed({"name": "go", "data": 1}, now=old))
    assert (late.status_code, late.json()["title"]) == (401, "Unauthorized")
    assert "s old" in late.json()["detail"]
