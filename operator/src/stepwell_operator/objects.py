"""Kubernetes objects as plain JSON, and the few things every part of the operator asks of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .resources import API_VERSION

Json = dict[str, Any]

DISCOVERED_LABEL = "stepwell.dev/discovered"
POKE_ANNOTATION = "stepwell.dev/reconcile-requested-at"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which object: unique at any one time, but a deleted and recreated object has the same key and another uid."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def key_of(obj: Mapping[str, Any]) -> Key:
    metadata = obj["metadata"]
    return Key(kind=obj["kind"], namespace=metadata.get("namespace", ""), name=metadata["name"])


def uid_of(obj: Mapping[str, Any]) -> str:
    uid: str = obj["metadata"]["uid"]
    return uid


def generation_of(obj: Mapping[str, Any]) -> int:
    return int(obj["metadata"].get("generation", 1))


def spec_of(obj: Mapping[str, Any]) -> Json:
    spec: Json = obj.get("spec") or {}
    return spec


def status_of(obj: Mapping[str, Any]) -> Json:
    status: Json = obj.get("status") or {}
    return status


def annotation(obj: Mapping[str, Any], name: str) -> str | None:
    return (obj["metadata"].get("annotations") or {}).get(name)


def is_discovered(obj: Mapping[str, Any]) -> bool:
    """Whether discovery made the object, not a person."""
    return (obj["metadata"].get("labels") or {}).get(DISCOVERED_LABEL) == "true"


def is_being_deleted(obj: Mapping[str, Any]) -> bool:
    return obj["metadata"].get("deletionTimestamp") is not None


def seniority(obj: Mapping[str, Any]) -> tuple[str, str]:
    """Orders objects that claim the same thing: the older wins, then the name."""
    metadata = obj["metadata"]
    return metadata.get("creationTimestamp") or "", metadata["name"]


def owner_reference(owner: Mapping[str, Any]) -> Json:
    """Makes the garbage collector remove an object with its owner, without holding the owner back."""
    return {
        "apiVersion": API_VERSION,
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": False,
    }
