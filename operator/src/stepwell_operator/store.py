"""The objects as last seen, by key: what a watch or a list told, for reconcilers to look things up in.

It may lag behind the API server. That is harmless: what is written back carries the resourceVersion that was looked at,
and every change that arrives later reconciles again.
"""

from collections.abc import Iterator, Mapping

from .objects import Json, Key, generation_of, key_of, spec_of, status_of, uid_of


class Store:
    def __init__(self) -> None:
        self._objects: dict[Key, Json] = {}

    def get(self, key: Key) -> Json | None:
        return self._objects.get(key)

    def list(self, kind: str, *, namespace: str | None = None) -> list[Json]:
        """Objects of a kind, by key."""
        found = [key for key in self._objects if key.kind == kind and namespace in (None, key.namespace)]
        return [self._objects[key] for key in sorted(found)]

    def put(self, obj: Json) -> set[Key]:
        """Take note of an object; gives the keys to reconcile: itself, and who depends on what changed of it."""
        key = key_of(obj)
        before = self._objects.get(key)
        if before is not None and _version(before) > _version(obj):
            return set()
        self._objects[key] = obj
        return {key} | (self.dependents(key) if before is None or _gist(before) != _gist(obj) else set())

    def remove(self, key: Key) -> set[Key]:
        """Forget an object; gives the keys to reconcile."""
        if self._objects.pop(key, None) is None:
            return set()
        return {key} | self.dependents(key)

    def replace(self, listed: Mapping[Key, Json], versions: Mapping[str, int]) -> set[Key]:
        """Make the store what a full list says, except for what a watch has told since; gives the keys whose objects it
        had missed, gained or lost. `versions`: up to which resourceVersion each kind's list is complete."""
        missed: set[Key] = set()
        for key, obj in list(self._objects.items()):
            if key not in listed and _version(obj) <= versions.get(key.kind, 0):
                missed |= self.remove(key)
        for key, obj in listed.items():
            before = self._objects.get(key)
            if before is None or uid_of(before) != uid_of(obj) or _version(before) < _version(obj):
                missed |= self.put(obj)
        return missed

    def dependents(self, key: Key) -> set[Key]:
        """Who refers to this object: the app's definitions and events, a definition's schedules, a handler's rivals."""
        return set(self._dependents(key))

    def _dependents(self, key: Key) -> Iterator[Key]:
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
                    yield there
                case _:
                    pass


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
