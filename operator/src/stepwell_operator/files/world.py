"""Manifest files as reconcilers see them. Status lives in memory and is told to people as it changes.

There are no Services and no Secrets of our own making here: apps are reached by URL, and a signing key that no manifest
names is kept by the journal alone. The namespace of a manifest that names none is the empty one, in which an app that
registers itself at the gateway lives too: both are the same app.
"""

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..conditions import condition_status
from ..objects import Json, Key, generation_of, key_of, spec_of, status_of
from ..resources import KINDS
from ..store import Store
from ..world import Listing, Service, StatusConflict, Unresolved
from .manifests import Manifests, files_of, read


class FileWorld:
    """`say` is told, one line each, what became of an object and what is wrong with a file."""

    discovers = False
    keeps_secrets = False

    def __init__(self, paths: Sequence[Path], *, say: Callable[[str], None]) -> None:
        self.store = Store()
        self._paths = tuple(paths)
        self._say = say
        self._versions = itertools.count(2)
        self._objects: dict[Key, Json] = {}
        self._manifests = Manifests()
        self._told: dict[str, tuple[str, ...]] = {}
        self._deleted: set[Key] = set()

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Changes when a file does."""
        marks: list[tuple[str, int, int]] = []
        for path in files_of([path for path in self._paths if path.exists()]):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            marks.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(marks)

    async def fetch(self, key: Key) -> Json | None:
        return self._objects.get(key)

    async def list_all(self) -> Listing:
        """Read the files again. An unchanged object keeps its generation and status."""
        existing = [path for path in self._paths if path.exists()]
        self._manifests = read(existing, before=self._objects)
        self._tell_problems()
        found = {key: obj for key, obj in self._manifests.objects.items() if key not in self._deleted}
        self._deleted &= self._manifests.objects.keys()
        self._objects = {key: self._continued(key, obj) for key, obj in found.items()}
        last = next(self._versions)
        return Listing(objects=dict(self._objects), versions={kind.kind: last for kind in KINDS})

    async def write_status(self, obj: Json, status: Json) -> None:
        key = key_of(obj)
        present = self._objects.get(key)
        if present is None or present["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise StatusConflict(f"{key} changed while it was looked at")
        written = copy.deepcopy(obj)
        written["status"] = status
        written["metadata"]["resourceVersion"] = str(next(self._versions))
        self._objects[key] = written
        self.store.put(written, own=True)
        self._tell(obj, written)

    async def service_url(self, namespace: str, service: Service) -> str:  # noqa: ARG002
        raise Unresolved(
            "NoServices",
            f"Service {service.name!r} can't be reached: without a cluster there are no Services; write url instead,"
            " such as http://127.0.0.1:8000/api/stepwell",
        )

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self._manifests.secrets.get((namespace, name))

    async def create_secret(self, namespace: str, name: str, data: Mapping[str, str], *, owner: Json) -> bool:  # noqa: ARG002
        return False

    async def apply_discovered(self, obj: Json) -> Json:
        return obj

    async def delete(self, obj: Json) -> None:
        """The file stays, but the object is gone until it leaves the file."""
        self._deleted.add(key_of(obj))
        self._objects.pop(key_of(obj), None)
        self.store.remove(key_of(obj))

    async def announce(self, obj: Json, *, reason: str, message: str) -> None:
        """Status says it all here."""

    def _continued(self, key: Key, obj: Json) -> Json:
        before = self._objects.get(key)
        if before is None:
            obj["metadata"]["resourceVersion"] = str(next(self._versions))
            return obj
        same = spec_of(before) == spec_of(obj) and _described(before) == _described(obj)
        if before is obj or same:
            return before
        changed = spec_of(before) != spec_of(obj)
        obj["metadata"]["generation"] = generation_of(before) + (1 if changed else 0)
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        if status_of(before):
            obj["status"] = status_of(before)
        return obj

    def _tell(self, before: Json, after: Json) -> None:
        """What is still on its way is not worth a line."""
        ready = _ready(after)
        if ready is None or ready == _ready(before) or ready[0] == "Unknown":
            return
        status, reason, message = ready
        self._say(f"✓ {key_of(after)}" if status == "True" else f"✗ {key_of(after)}: {reason}: {message}")

    def _tell_problems(self) -> None:
        problems = dict(self._manifests.problems)
        missing = [str(path) for path in self._paths if not path.exists()]
        problems |= {path: (f"{path}: there is no such file or folder any more",) for path in missing}
        for path, lines in problems.items():
            for line in lines if self._told.get(path) != lines else ():
                self._say(f"✗ {line}")
        self._told = problems


def _described(obj: Json) -> tuple[object, object]:
    return obj["metadata"]["labels"], obj["metadata"]["annotations"]


def _ready(obj: Json) -> tuple[str, str, str] | None:
    if condition_status(obj, "Ready") is None:
        return None
    condition = next(c for c in status_of(obj)["conditions"] if c["type"] == "Ready")
    return condition["status"], condition["reason"], condition["message"]
