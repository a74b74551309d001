"""The cluster as reconcilers see it.

Status is written by server-side apply under one field manager whose name never changes, one apply with all of it,
carrying the resourceVersion of the object that was looked at: a 409 means that it changed meanwhile. Secrets are read by
name, never listed, and kept nowhere. Discovered Functions are applied as `stepwell-sync` and never forced.
"""

import base64
import copy
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from ..objects import DISCOVERED_LABEL, Json, Key, key_of, owner_reference, uid_of
from ..resources import API_VERSION, GROUP, KIND_BY_NAME, KINDS, VERSION
from ..store import Store
from ..world import Listing, Service, StatusConflict, Unresolved, WorldUnavailable
from .client import ApiError, Client

_log = logging.getLogger("stepwell.operator")

STATUS_MANAGER = "stepwell-operator"
SYNC_MANAGER = "stepwell-sync"
EVENT_NOTE_BYTES = 1000


class ClusterWorld:
    """`namespaces` None: all of them."""

    discovers = True
    keeps_secrets = True

    def __init__(self, client: Client, *, namespaces: frozenset[str] | None = None, identity: str = "stepwell") -> None:
        self.store = Store()
        self._client = client
        self._namespaces = namespaces
        self._identity = identity

    async def fetch(self, key: Key) -> Json | None:
        obj = await self._client.get(_path(key))
        if obj is None:
            self.store.remove(key)
        else:
            self.store.put(_lean(obj))
        return obj

    async def list_all(self) -> Listing:
        objects: dict[Key, Json] = {}
        versions: dict[str, int] = {}
        scopes = [""] if self._namespaces is None else [f"/namespaces/{name}" for name in sorted(self._namespaces)]
        for kind in KINDS:
            for scope in scopes:
                items, version = await self._client.list(f"/apis/{API_VERSION}{scope}/{kind.plural}")
                objects |= {key_of(item): _lean(item) for item in items}
                versions[kind.kind] = min(versions.get(kind.kind, version), version)
        return Listing(objects=objects, versions=versions)

    async def write_status(self, obj: Json, status: Json) -> None:
        metadata = obj["metadata"]
        body = {
            "apiVersion": API_VERSION,
            "kind": obj["kind"],
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "status": status,
        }
        try:
            written = await self._client.apply(f"{_path(key_of(obj))}/status", body, manager=STATUS_MANAGER, force=True)
        except ApiError as error:
            if error.status in (404, 409):
                raise StatusConflict(f"{key_of(obj)} changed while it was looked at") from None
            raise
        self.store.put(_lean(written), own=True)

    async def service_url(self, namespace: str, service: Service) -> str:
        found = await self._client.get(f"/api/v1/namespaces/{namespace}/services/{service.name}")
        if found is None:
            raise Unresolved(
                "ServiceNotFound",
                f"there is no Service {service.name!r} in namespace {namespace!r}: create it, or correct the name",
            )
        spec = found.get("spec") or {}
        if spec.get("type") == "ExternalName":
            raise Unresolved(
                "ExternalNameRefused",
                f"Service {service.name!r} is of type ExternalName, which leads out of the namespace: use a Service"
                " with a selector or endpoints",
            )
        ports = [port["port"] for port in spec.get("ports") or ()]
        if ports and service.port not in ports:
            raise Unresolved(
                "PortNotFound",
                f"Service {service.name!r} has no port {service.port}: use one of {', '.join(map(str, ports))}",
            )
        return f"http://{service.name}.{namespace}.svc:{service.port}{service.path}"

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, str] | None:
        found = await self._client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        if found is None:
            return None
        data: Mapping[str, str] = found.get("data") or {}
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}

    async def create_secret(self, namespace: str, name: str, data: Mapping[str, str], *, owner: Json) -> bool:
        body: Json = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "stepwell"},
                "ownerReferences": [owner_reference(owner)],
            },
            "stringData": dict(data),
        }
        try:
            await self._client.create(f"/api/v1/namespaces/{namespace}/secrets?fieldManager={STATUS_MANAGER}", body)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return False
            raise
        return True

    async def apply_discovered(self, obj: Json) -> Json:
        """Whatever others own is dropped from what is applied, until nothing is left to argue about."""
        wanted = copy.deepcopy(obj)
        path = _path(key_of(obj))
        while True:
            try:
                applied = await self._client.apply(path, wanted, manager=SYNC_MANAGER, force=False)
            except ApiError as error:
                if error.status != 409 or not _drop(wanted, error.causes):
                    raise
            else:
                self.store.put(_lean(applied))
                return applied

    async def delete(self, obj: Json) -> None:
        await self._client.delete(_path(key_of(obj)), uid=uid_of(obj))

    async def announce(self, obj: Json, *, reason: str, message: str) -> None:
        """A Kubernetes Event beside the object. It is for people only: when it can't be written nothing is lost."""
        metadata = obj["metadata"]
        body: Json = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{secrets.token_hex(8)}", "namespace": metadata["namespace"]},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Warning",
            "reason": reason,
            "note": message.encode()[:EVENT_NOTE_BYTES].decode(errors="ignore"),
            "action": "Reconcile",
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": self._identity,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": obj["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": uid_of(obj),
            },
        }
        try:
            await self._client.create(f"/apis/events.k8s.io/v1/namespaces/{metadata['namespace']}/events", body)
        except (ApiError, WorldUnavailable) as error:
            _log.warning("no Event about %s: %s", key_of(obj), error)


def _path(key: Key) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{KIND_BY_NAME[key.kind].plural}/{key.name}"


def _lean(obj: Json) -> Json:
    """The object without managedFields, which weigh more than all else and are of no use here."""
    obj["metadata"].pop("managedFields", None)
    return obj


def _drop(obj: Json, causes: list[Json]) -> bool:
    """Remove the fields that a 409 names (`.spec.retries.maxAttempts`), and what is left empty by that: to own an empty
    object would keep its last owner from letting go of it. False when nothing could be removed."""
    dropped = False
    for cause in causes:
        keys = [part for part in str(cause.get("field", "")).split(".") if part]
        if keys != ["metadata", "labels", DISCOVERED_LABEL]:
            dropped |= _remove(obj, keys)
    return dropped


def _remove(place: object, keys: list[str]) -> bool:
    if not keys or not isinstance(place, dict) or keys[0] not in place:
        return False
    if len(keys) > 1:
        removed = _remove(place[keys[0]], keys[1:])
        if removed and place[keys[0]] == {}:
            del place[keys[0]]
        return removed
    del place[keys[0]]
    return True
