"""Definitions and their revisions: declaring twice changes nothing, runs keep what they began with, and owners are heeded."""

import asyncio
from typing import Any

import pytest

from integration.world import DATA_KEY, KEY, World, declaration, exchange, on, opened
from stepwell_engine.driving.catalog import Catalog
from stepwell_engine.errors import NotFound
from stepwell_engine.journal import Journal
from stepwell_engine.journal.definitions import Declared, Served
from stepwell_engine.model import App, AppSettings, Kind
from stepwell_engine.sealing import BadDataKey, Sealer

SERVED = Served(url="http://127.0.0.1:1/")


@pytest.fixture
async def app(world: World) -> App:
    return await world.app()


async def sync(world: World, app: App, **functions: dict[str, Any]) -> dict[str, Declared]:
    """What an app says it serves; the names are its functions."""
    declarations = [declaration(Kind.FUNCTION, name, **document) for name, document in functions.items()]
    declared = await world.journal.definitions.sync(app.id, declarations, served=SERVED)
    return {each.definition.name: each for each in declared}


async def revision_of(world: World, app: App, name: str = "work") -> int:
    found = await world.journal.definitions.get_definition(app.id, kind=Kind.FUNCTION, name=name)
    assert found is not None
    return found[0].revision


# Revisions


async def test_the_same_document_makes_no_new_revision(world: World, app: App) -> None:
    first = await world.declare(app, Kind.FUNCTION, "work", priority=1, triggers=on("go"))
    again = await world.declare(app, Kind.FUNCTION, "work", triggers=on("go"), priority=1)
    assert (first.changed, again.changed) == (True, False)
    assert (first.definition.revision, again.definition.revision) == (1, 1)
    assert await world.value("select count(*) from stepwell.revision") == 1


async def test_a_changed_document_is_a_new_revision(world: World, app: App) -> None:
    await world.function(app, priority=1)
    assert (await world.function(app, priority=2)).revision == 2


async def test_a_rollback_takes_up_the_earlier_revision(world: World, app: App) -> None:
    for priority in (1, 2):
        await world.function(app, priority=priority)
    back = await world.declare(app, Kind.FUNCTION, "work", priority=1)
    assert (back.definition.revision, back.changed) == (1, True)
    assert await world.value("select count(*) from stepwell.revision") == 2
    assert (await world.function(app, priority=3)).revision == 3


async def test_a_run_keeps_the_revision_it_began_with(world: World, app: App) -> None:
    await world.function(app, retries={"maxAttempts": 7})
    lease = await world.claimed(app)
    await world.function(app, retries={"maxAttempts": 1})
    await world.complete(exchange(lease, "release"))
    (again,) = await world.claim()
    assert (again.revision, await revision_of(world, app)) == (1, 2)
    spec = await Catalog(world.journal.definitions).revision(again.definition_id, again.revision)
    assert spec.retries.max_attempts == 7


async def test_a_new_revisions_triggers_replace_the_old_ones(world: World, app: App) -> None:
    await world.function(app, triggers=on("old"))
    await world.function(app, triggers=on("new"))
    old, new = await world.send(app, ("old", None), ("new", None))
    assert (len(old.run_ids), len(new.run_ids)) == (0, 1)


async def test_one_definition_declared_by_many_at_once_gets_one_revision_a_document(
    world: World, app: App, database_url: str
) -> None:
    async with await opened(database_url) as other:
        await asyncio.gather(
            *[
                journal.definitions.put_definition(app.id, declaration(Kind.FUNCTION, "work", priority=n % 3))
                for journal in (world.journal, other)
                for n in range(9)
            ]
        )
    assert await world.value("select count(*) from stepwell.revision") == 3
    assert await world.value("select count(*) from stepwell.definition") == 1


async def test_a_function_and_a_workflow_may_have_one_name(world: World, app: App) -> None:
    function = await world.function(app, "same")
    workflow = await world.workflow(app, "same", steps=[{"name": "a", "sleep": {"for": "1s"}}])
    assert function.id != workflow.id


# Sync


async def test_a_sync_declares_what_it_names_and_retires_what_it_no_longer_names(world: World, app: App) -> None:
    await sync(world, app, one={"triggers": on("go")}, two={"triggers": on("go")})
    run_id = (await world.send(app, ("go", None)))[0].run_ids[0]
    await sync(world, app, two={"triggers": on("go")})
    (accepted,) = await world.send(app, ("go", None))
    assert [(await world.run(started))["name"] for started in accepted.run_ids] == ["two"]
    assert run_id in {lease.run_id for lease in await world.claim()}


async def test_a_function_that_is_served_again_starts_runs_again(world: World, app: App) -> None:
    await sync(world, app, one={"triggers": on("go")})
    await sync(world, app)
    back = await sync(world, app, one={"triggers": on("go")})
    assert (back["one"].definition.revision, back["one"].changed) == (1, True)
    assert len((await world.send(app, ("go", None)))[0].run_ids) == 1


async def test_a_sync_leaves_what_a_resource_owns_as_its_author_wants_it(world: World, app: App) -> None:
    await world.declare(app, Kind.FUNCTION, "owned", priority=5, triggers=on("go"))
    answered = await sync(world, app, owned={"priority": 1}, free={})
    assert (answered["owned"].definition.source, answered["owned"].changed) == ("resource", False)
    assert (answered["owned"].definition.revision, answered["free"].definition.source) == (1, "sync")
    await sync(world, app, free={})
    (accepted,) = await world.send(app, ("go", None))
    assert (await world.run(accepted.run_ids[0]))["priority"] == 5


async def test_a_resource_takes_over_a_synced_function(world: World, app: App) -> None:
    await sync(world, app, work={"priority": 1})
    taken = await world.declare(app, Kind.FUNCTION, "work", priority=2)
    assert (taken.definition.source, taken.definition.revision) == ("resource", 2)
    await sync(world, app, work={"priority": 1})
    assert await revision_of(world, app) == 2


async def test_a_removed_resources_function_belongs_to_the_app_again(world: World, app: App) -> None:
    await world.declare(app, Kind.FUNCTION, "work", priority=2, triggers=on("go"))
    assert await world.journal.definitions.remove_definition(app.id, kind=Kind.FUNCTION, name="work")
    assert not await world.journal.definitions.remove_definition(app.id, kind=Kind.FUNCTION, name="work")
    back = await sync(world, app, work={"triggers": on("go")})
    assert back["work"].definition.source == "sync"
    assert len((await world.send(app, ("go", None)))[0].run_ids) == 1


async def test_a_sync_of_one_app_touches_nothing_of_another(world: World, app: App) -> None:
    other = await world.app("other")
    await sync(world, other, work={"triggers": on("go")})
    await sync(world, app)
    assert len((await world.send(other, ("go", None)))[0].run_ids) == 1


async def test_a_sync_that_changes_nothing_says_so(world: World, app: App) -> None:
    await sync(world, app, work={"priority": 1})
    assert not (await sync(world, app, work={"priority": 1}))["work"].changed


# Apps and their keys


async def test_an_app_is_one_per_namespace_name_and_environment(world: World) -> None:
    put = world.journal.definitions.put_app
    first = await put(AppSettings(name="billing"))
    assert (await put(AppSettings(name="billing"))).id == first.id
    assert (await put(AppSettings(name="billing"))).signing_keys == first.signing_keys
    others = [AppSettings(name="billing", environment="prod"), AppSettings(name="billing", namespace="n")]
    assert len({first.id, *[(await put(each)).id for each in others]}) == 3


async def test_an_app_made_by_many_at_once_is_one(world: World, database_url: str) -> None:
    async with await opened(database_url) as other:
        made = await asyncio.gather(
            *[
                journal.definitions.put_app(AppSettings(name="billing"))
                for journal in (world.journal, other)
                for _ in range(5)
            ]
        )
    assert len({(app.id, app.signing_keys) for app in made}) == 1


async def test_signing_keys_are_nowhere_in_the_database_in_plain_text(world: World, app: App) -> None:
    sealed = await world.value("select signing_keys from stepwell.app")
    assert KEY.encode() not in sealed
    assert Sealer(DATA_KEY).open(sealed, app_id=app.id) == (KEY,)


async def test_keys_sealed_for_one_app_do_not_open_for_another(world: World, app: App) -> None:
    other = await world.app("other", signing_keys=("another",))
    await world.sql(
        "update stepwell.app set signing_keys = (select signing_keys from stepwell.app where id = %(from)s) where id = %(to)s",
        **{"from": app.id, "to": other.id},
    )
    with pytest.raises(BadDataKey, match=other.id):
        await world.journal.definitions.get_app(other.id)


async def test_another_data_key_opens_nothing_and_says_which_one_to_use(
    world: World, app: App, database_url: str
) -> None:
    with pytest.raises(BadDataKey, match="sealed with another STEPWELL_DATA_KEY: start with that one"):
        await Journal.open(database_url, sealer=Sealer(bytes(32)), size=2)


async def test_a_workers_catalog_takes_up_rotated_keys_with_the_next_claim(world: World, app: App) -> None:
    catalog = Catalog(world.journal.definitions)
    await world.function(app)
    lease = await world.claimed(app)
    assert (await catalog.app(app.id, generation=lease.generation)).signing_keys == (KEY,)
    await world.journal.definitions.put_app(AppSettings(name="shop", signing_keys=("new", KEY)))
    await world.complete(exchange(lease, "release"))
    (again,) = await world.claim()
    assert (await catalog.app(app.id, generation=again.generation)).signing_keys == ("new", KEY)


async def test_what_changes_nothing_leaves_every_cache_alone(world: World) -> None:
    settings = AppSettings(name="shop", signing_keys=("k",), url="http://127.0.0.1:1/")
    first = await world.journal.definitions.put_app(settings)
    assert (await world.journal.definitions.put_app(settings)).generation == first.generation


async def test_a_removed_app_is_gone_for_its_clients_and_its_name_is_free(world: World, app: App) -> None:
    await world.function(app, triggers=on("go"))
    assert await world.journal.definitions.remove_app(app.id)
    assert not await world.journal.definitions.remove_app(app.id)
    with pytest.raises(NotFound):
        await world.journal.definitions.get_app(app.id)
    assert (await world.app()).id != app.id
