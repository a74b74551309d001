"""A request that was signed by the timed signature is taken once, unless it says itself what it repeats."""

import json

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

    def signed(self, body: dict[str, object], *, now: float) -> tuple[bytes, dict[str, str]]:
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


async def test_a_late_request_is_refused(world: World, app: App, database_url: str) -> None:
    sender = Sender(world, app, database_url)
    old = (await world.now()).timestamp() - 301
    late = await sender.post("/e", sender.signed({"name": "go", "data": 1}, now=old))
    assert (late.status_code, late.json()["title"]) == (401, "Unauthorized")
    assert "s old" in late.json()["detail"]
