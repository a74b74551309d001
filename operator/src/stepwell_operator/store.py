"""The objects as last seen, by key: what a watch or a list told, for reconcilers to look things up in.

It may lag behind the API server. That is harmless: what is written back carries the resourceVersion that was looked at,
and every change that arrives later reconciles again.
"""

from collections.abc import Callable, Iterator, Mapping

from .objects import Json, Key, generation_of, key_of, spec_of, status_of, uid_of


class Store:
    """`changed` is told the keys to reconcile whenever something became known; set it before the first change."""

    def __init__(self) -> None:
        self._objects: dict[Key, Json] = {}
        self.changed: Callable[[set[Key]], None] = lambda _: None

    def get(self, key: Key) -> Json | None:
        return self._objects.get(key)

    def list(self, kind: str, *, namespace: str | None = None) -> list[Json]:
        """Objects of a kind, by key."""
        found = [key for key in self._objects if key.kind == kind and namespace in (None, key.namespace)]
        return [self._objects[key] for key in sorted(found)]

    def put(self, obj: Json, *, own: bool = False) -> bool:
        """Take note of an object. Its key is to be reconciled, and so is who depends on what changed of it. `own`: the
        operator wrote it itself just now and need not look at it again. False: something newer is known."""
        key = key_of(obj)
        before = self._objects.get(key)
        if before is not None and _version(before) > _version(obj):
            return False
        self._objects[key] = obj
        keys = set() if own else {key}
        if before is None or _gist(before) != _gist(obj):
            keys |= self.dependents(key)
        self.changed(keys)
        return True

    def remove(self, key: Key, *, uid: str | None = None) -> bool:
        """Forget an object, if it is still the one with that uid. False: it was not known."""
        present = self._objects.get(key)
        if present is None or (uid is not None and uid_of(present) != uid):
            return False
        keys = {key} | self.dependents(key)
        del self._objects[key]
        self.changed(keys)
        return True

    def replace(self, listed: Mapping[Key, Json], versions: Mapping[str, int]) -> set[Key]:
        """Make the store what a full list says, except for what a watch has told since; gives the keys whose objects it
        had missed, gained or lost. `versions`: up to which resourceVersion each kind's list is complete."""
        missed: set[Key] = set()
        for key, obj in list(self._objects.items()):
            if key not in listed and _version(obj) <= versions.get(key.kind, 0) and self.remove(key):
                missed.add(key)
        for key, obj in listed.items():
            before = self._objects.get(key)
            new = before is None or uid_of(before) != uid_of(obj) or _version(before) < _version(obj)
            if new and self.put(obj):
                missed.add(key)
        return missed

    def dependents(self, key: Key) -> set[Key]:
        """Who refers to this object: the app's definitions and events, a definition's schedules, a handler's rivals."""
        return set(self._dependents(key))

    def _dependents(self, key: Key) -> Iterator[Key]:
        own = self._objects.get(key)
        for other in self._objects.values():
            there = key_of(other)
            if there.namespace != key.namespace or there == key:
                continue
            spec = spec_of(other)
            match key.kind, there.kind:
                case "StepwellApp", "Function" | "Workflow" | "StepwellEvent":
                    if spec.get("appRef", {}).get("name") == key.name:
                        yield there
                case "StepwellApp", "Schedule":
                    yield there
                case "Function" | "Workflow", "Schedule":
                    target = spec.get("targetRef", {})
                    if (target.get("kind"), target.get("name")) == (key.kind, key.name):
                        yield there
                case "Function", "Function":
                    if own is not None and _claim(own) == _claim(other):
                        yield there
                case _:
                    pass


def _claim(function: Json) -> tuple[object, object]:
    """Which handler of which app a Function stands for."""
    spec = spec_of(function)
    return spec.get("appRef", {}).get("name"), spec.get("handler") or function["metadata"]["name"]


def _version(obj: Json) -> int:
    version = str(obj["metadata"].get("resourceVersion", "0"))
    return int(version) if version.isdigit() else 0


def _gist(obj: Json) -> tuple[object, ...]:
    """What others depend on."""
    status = status_of(obj)
    conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
    return (
        uid_of(obj),
        generation_of(obj),
        obj["metadata"].get("deletionTimestamp"),
        status.get("appId"),
        conditions.get("Registered"),
    )
