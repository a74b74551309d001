"""What reconcilers see of the place they work in. Two places exist: a cluster, and the manifest files of `stepwell dev`.

WorldError
├── StatusConflict     the object changed since it was looked at: reconcile again
├── Unresolved         something that a spec names is not there or not allowed; carries reason and fix
└── WorldUnavailable   the API server is away or throttles: try again later
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from .objects import Json, Key
from .store import Store


class WorldError(Exception):
    """Anything the world can't do now."""


class StatusConflict(WorldError):
    """The object changed, or was replaced, since it was looked at."""


class WorldUnavailable(WorldError):
    """The world can't be reached; nothing was decided."""


class Unresolved(WorldError):
    """A reference leads nowhere. `reason` is a condition's reason; the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Listing:
    """Every object of the five kinds. `versions`: up to which resourceVersion each kind's list is complete."""

    objects: Mapping[Key, Json]
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Service:
    """A reference to a Service, with its default port and path filled in."""

    name: str
    port: int = 80
    path: str = "/"

    @classmethod
    def of(cls, reference: Mapping[str, object]) -> "Service":
        return cls(
            name=str(reference["name"]),
            port=int(str(reference.get("port", 80))),
            path=str(reference.get("path") or "/"),
        )


class World(Protocol):
    """Objects, and the side effects that reconcilers may have on them. Methods raise WorldError."""

    store: Store
    discovers: bool
    """Whether discovered functions are kept as objects here."""
    keeps_secrets: bool
    """Whether signing keys are kept in Secrets here; else the journal alone keeps them."""

    async def fetch(self, key: Key) -> Json | None:
        """The object as it is now, past any cache."""
        ...

    async def list_all(self) -> Listing:
        """Every object of the five kinds, as they are now."""
        ...

    async def write_status(self, obj: Json, status: Json) -> None:
        """Make `status` the whole of what the operator says of `obj`. Raises StatusConflict when `obj` is old."""
        ...

    async def service_url(self, namespace: str, service: Service) -> str:
        """The URL of a Service. Raises Unresolved when there is none, or when it leads out of the cluster."""
        ...

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """A Secret's data; None when there is none."""
        ...

    async def create_secret(self, namespace: str, name: str, data: Mapping[str, str], *, owner: Json) -> bool:
        """Make a Secret that goes with its owner. False: it is there already."""
        ...

    async def apply_discovered(self, obj: Json) -> Json:
        """Server-side apply as discovery; fields owned by others win. Gives the object as it came out."""
        ...

    async def delete(self, obj: Json) -> None:
        """Delete exactly this object; harmless when it is gone."""
        ...

    async def announce(self, obj: Json, *, reason: str, message: str) -> None:
        """Tell people near the object that they must act."""
        ...
