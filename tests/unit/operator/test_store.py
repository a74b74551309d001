"""The store: what is known, whom a change concerns, and how a list makes up for a watch."""

from typing import Any

import pytest

from stepwell_operator.objects import Json, Key
from stepwell_operator.store import Store


def obj(kind: str, name: str, *, version: int = 1, uid: str | None = None, generation: int = 1, **spec: Any) -> Json:
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": uid or f"{kind}/{name}",
        "resourceVersion": str(version),
        "generation": generation,
    }
    return {"kind": kind, "metadata": metadata, "spec": spec}


def key(kind: str, name: str) -> Key:
    return Key(kind, "ns", name)


class Told:
    def __init__(self, store: Store) -> None:
        self.keys: set[Key] = set()
        store.changed = self.keys.update

    def take(self) -> set[Key]:
        found = set(self.keys)
        self.keys.clear()
        return found


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def told(store: Store) -> Told:
    return Told(store)


SHOP: dict[str, Any] = {"appRef": {"name": "shop"}}


def test_a_change_of_an_app_concerns_what_refers_to_it(store: Store, told: Told) -> None:
    store.put(obj("Function", "f", **SHOP))
    store.put(obj("Workflow", "w", appRef={"name": "other"}))
    store.put(obj("StepwellEvent", "e", **SHOP))
    told.take()
    store.put(obj("StepwellApp", "shop"))
    assert told.take() == {key("StepwellApp", "shop"), key("Function", "f"), key("StepwellEvent", "e")}


def test_a_change_of_a_definition_concerns_its_schedules(store: Store, told: Told) -> None:
    store.put(obj("Schedule", "s", targetRef={"kind": "Workflow", "name": "w"}))
    told.take()
    store.put(obj("Workflow", "w", **SHOP))
    assert told.take() == {key("Workflow", "w"), key("Schedule", "s")}


def test_a_change_of_a_function_concerns_its_rivals_for_a_handler_only(store: Store, told: Told) -> None:
    store.put(obj("Function", "rival", handler="h", **SHOP))
    store.put(obj("Function", "other", handler="i", **SHOP))
    told.take()
    store.put(obj("Function", "f", handler="h", **SHOP))
    assert told.take() == {key("Function", "f"), key("Function", "rival")}
    store.remove(key("Function", "f"))
    assert told.take() == {key("Function", "f"), key("Function", "rival")}


def test_a_change_that_others_do_not_see_concerns_nobody_else(store: Store, told: Told) -> None:
    store.put(obj("Function", "f", **SHOP))
    store.put(obj("StepwellApp", "shop", version=2))
    told.take()
    store.put(obj("StepwellApp", "shop", version=3))
    assert told.take() == {key("StepwellApp", "shop")}


def test_what_the_operator_wrote_itself_is_not_looked_at_again(store: Store, told: Told) -> None:
    store.put(obj("Function", "f", **SHOP))
    told.take()
    store.put(obj("Function", "f", version=2, **SHOP), own=True)
    assert told.take() == set()


def test_an_older_version_is_not_taken(store: Store) -> None:
    store.put(obj("Function", "f", version=5))
    assert store.put(obj("Function", "f", version=4)) is False


def test_a_late_deletion_of_an_earlier_object_leaves_its_successor(store: Store) -> None:
    store.put(obj("Function", "f", uid="second"))
    assert store.remove(key("Function", "f"), uid="first") is False
    assert store.get(key("Function", "f")) is not None


def test_a_list_finds_what_was_deleted_changed_and_made(store: Store, told: Told) -> None:
    store.put(obj("Function", "gone", version=1))
    store.put(obj("Function", "changed", version=2))
    store.put(obj("Function", "same", version=3))
    listed = {
        key("Function", name): obj("Function", name, version=version)
        for name, version in (("changed", 7), ("same", 3), ("made", 8))
    }
    missed = store.replace(listed, {"Function": 9})
    assert missed == {key("Function", "gone"), key("Function", "changed"), key("Function", "made")}


def test_a_list_leaves_what_a_watch_has_told_since(store: Store) -> None:
    store.put(obj("Function", "newer", version=12))
    assert store.replace({}, {"Function": 9}) == set()
    assert store.get(key("Function", "newer")) is not None
