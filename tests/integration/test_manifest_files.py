"""Manifest files reconciled by the cluster's own reconcilers, against a real Postgres: followed, refused in words, retired."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from kube.manifests import Json, app, call, event, function, schedule, workflow
from stepwell_engine.journal import Journal
from stepwell_engine.model import AppSettings, Kind
from stepwell_engine.sealing import Sealer
from stepwell_operator.files.run import reconcile_files
from stepwell_protocol.client import HttpClient

DEADLINE_SECONDS = 20.0


class Told:
    """The lines that people are told; `wait_for` ends when one holds the words."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._arrived = asyncio.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)
        self._arrived.set()

    async def wait_for(self, words: str) -> str:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (found := next((line for line in self.lines if words in line), None)) is None:
                self._arrived.clear()
                await self._arrived.wait()
        return found


@pytest.fixture
async def journal(database_url: str) -> AsyncIterator[Journal]:
    async with await Journal.open(database_url, sealer=Sealer(bytes(32))) as opened:
        yield opened


@asynccontextmanager
async def followed(journal: Journal, folder: Path) -> AsyncIterator[Told]:
    """`stepwell dev -f FOLDER`, as far as manifests go."""
    told = Told()
    async with HttpClient() as http:
        task = asyncio.create_task(reconcile_files([folder], journal=journal, http=http, say=told.say))
        try:
            yield told
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def write(folder: Path, name: str, *objects: Json) -> None:
    (folder / name).write_text(yaml.safe_dump_all(objects))


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for what nothing signals."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():  # type: ignore[misc]  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert what


async def in_force(journal: Journal) -> list[str]:
    found = await journal.definitions.find_app(name="shop", environment="dev")
    if found is None:
        return []
    return sorted(f"{d.kind} {d.name}" for d in await journal.definitions.list_definitions(found.id) if not d.retired)


async def test_every_kind_comes_in_force(journal: Journal, tmp_path: Path) -> None:
    write(tmp_path, "all.yaml", app(), function(), workflow(), schedule(), event())
    async with followed(journal, tmp_path) as told:
        for words in ("✓ StepwellApp shop", "✓ Function", "✓ Workflow", "✓ Schedule", "✓ StepwellEvent"):
            await told.wait_for(words)
    assert await in_force(journal) == ["function place-order", "workflow fulfil-order"]


async def test_an_event_finds_what_is_declared_beside_it(journal: Journal, tmp_path: Path) -> None:
    write(tmp_path, "all.yaml", event(), function(triggers=[{"event": {"name": "order.placed"}}]), app())
    async with followed(journal, tmp_path) as told:
        await told.wait_for("✓ StepwellEvent placed")
    (found,) = await journal.views.list_events()
    assert found.name == "order.placed"
    assert [state.runs for state in await journal.views.count_runs()] == [1]


async def test_an_event_is_sent_once_however_often_the_files_are_read(journal: Journal, tmp_path: Path) -> None:
    write(tmp_path, "all.yaml", app(), function(triggers=[{"event": {"name": "order.placed"}}]), event())
    for _ in range(2):
        async with followed(journal, tmp_path) as told:
            await told.wait_for("✓ StepwellEvent placed")
    assert [state.runs for state in await journal.views.count_runs()] == [1]


async def test_a_changed_file_is_followed(journal: Journal, tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", app(), workflow("w", call("a")))
    async with followed(journal, tmp_path) as told:
        await told.wait_for("✓ Workflow w")
        write(tmp_path, "b.yaml", function("another"))
        await told.wait_for("✓ Function another")
        (tmp_path / "b.yaml").unlink()

        async def retired() -> bool:
            return await in_force(journal) == ["workflow w"]

        await until(retired, "what left the files is retired")


async def test_a_broken_file_leaves_what_was_in_force(journal: Journal, tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", app(), workflow("w", call("a")))
    async with followed(journal, tmp_path) as told:
        await told.wait_for("✓ Workflow w")
        (tmp_path / "a.yaml").write_text("kind: [\n")
        said = await told.wait_for("a.yaml:2")
        assert said.startswith("✗ ")
        write(tmp_path, "b.yaml", function("another"))
        await told.wait_for("✓ Function another")
    assert await in_force(journal) == ["function another", "workflow w"]


async def test_a_refused_object_is_named_with_file_line_and_fix(journal: Journal, tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", app(), function(timeouts={"step": "5 minutes"}))
    async with followed(journal, tmp_path) as told:
        said = await told.wait_for("spec.timeouts.step")
    assert "a.yaml:" in said
    assert "such as 250ms, 90s" in said


async def test_what_only_the_engine_can_refuse_is_told_too(journal: Journal, tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", app(), function(), schedule(schedule="0 25 * * *"), function("lost", app="nowhere"))
    async with followed(journal, tmp_path) as told:
        assert "spec.schedule" in await told.wait_for("✗ Schedule nightly: InvalidDefinition")
        assert "name one of shop" in await told.wait_for("✗ Function lost: AppNotFound")


async def test_an_app_that_registers_itself_is_the_app_of_the_manifest(journal: Journal, tmp_path: Path) -> None:
    registered = await journal.definitions.put_app(AppSettings(name="shop", environment="dev"))
    write(tmp_path, "a.yaml", app(), function())
    async with followed(journal, tmp_path) as told:
        await told.wait_for("✓ Function place-order")
    found = await journal.definitions.find_app(name="shop", environment="dev")
    assert found is not None
    assert (found.id, found.signing_keys) == (registered.id, registered.signing_keys)


async def test_a_secret_in_the_files_gives_the_signing_key(journal: Journal, tmp_path: Path) -> None:
    data = {"signing-key": base64.b64encode(b"the-key").decode()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "data": data}
    write(tmp_path, "a.yaml", secret, app(signingKeySecretRef={"name": "mine"}))
    async with followed(journal, tmp_path) as told:
        await told.wait_for("✓ StepwellApp shop")
    found = await journal.definitions.find_app(name="shop", environment="dev")
    assert found is not None
    assert found.signing_keys == ("the-key",)


async def test_a_service_is_refused_with_what_to_write_instead(journal: Journal, tmp_path: Path) -> None:
    wanted = app()
    wanted["spec"]["callback"] = {"service": {"name": "web"}}
    write(tmp_path, "a.yaml", wanted)
    async with followed(journal, tmp_path) as told:
        assert "write url instead" in await told.wait_for("✗ StepwellApp shop: NoServices")


async def test_a_suspended_definition_makes_no_new_revision(journal: Journal, tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", app(), function())
    async with followed(journal, tmp_path) as told:
        await told.wait_for("✓ Function place-order")
        write(tmp_path, "a.yaml", app(), function(suspend=True))
        found = await journal.definitions.find_app(name="shop", environment="dev")
        assert found is not None

        async def suspended() -> bool:
            state = await journal.definitions.get_definition(found.id, kind=Kind.FUNCTION, name="place-order")
            return state is not None and state[0].suspended

        await until(suspended, "it is suspended")
        state = await journal.definitions.get_definition(found.id, kind=Kind.FUNCTION, name="place-order")
    assert state is not None
    assert state[0].revision == 1
