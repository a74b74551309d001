"""Objects from manifest files and folders, with the metadata that an API server would give them.

Kinds that are not Stepwell's are left alone, except Secrets, which apps may name for their signing keys. Everything wrong
is collected, file by file, so that one bad manifest does not hide the others.
"""

import base64
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..objects import Json, Key
from ..resources import API_VERSION, GROUP, KIND_BY_NAME
from .documents import BadYaml, read_documents
from .validation import problems

SOURCE_ANNOTATION = "stepwell.dev/file"
SUFFIXES = (".yaml", ".yml", ".json")
_NAMESPACE = uuid.UUID("6f6d1a3e-2f4b-5f0e-9d8e-53746570776c")


@dataclass(frozen=True, slots=True)
class Manifests:
    """What the files say. `objects` and `secrets` are what can be used; `problems` names the rest, by file."""

    objects: Mapping[Key, Json] = field(default_factory=dict)
    secrets: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The manifest files at `paths`; folders are read as `kubectl apply -f` does, without their subfolders."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
        found += [p for p in inside if p not in found]
    return found


def read(paths: Iterable[Path], *, before: Mapping[Key, Json]) -> Manifests:
    """Read all files. An object that is refused is left out and stays what it was `before`."""
    objects: dict[Key, Json] = {}
    secrets: dict[tuple[str, str], Mapping[str, str]] = {}
    refused: dict[str, tuple[str, ...]] = {}
    for path in files_of(paths):
        wrong: list[str] = []
        try:
            documents = read_documents(path)
        except BadYaml as error:
            refused[str(path)] = (str(error),)
            for key, obj in before.items():
                if obj["metadata"]["annotations"].get(SOURCE_ANNOTATION) == str(path):
                    objects.setdefault(key, obj)
            continue
        for document, line in _unfolded(documents):
            place = f"{path}:{line}"
            if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
                wrong.append(f"{place}: this is not a Kubernetes object: write apiVersion, kind and metadata.name")
                continue
            if document.get("kind") == "Secret" and document.get("apiVersion") == "v1":
                secrets[_secret_key(document)] = _secret_data(document)
                continue
            if not str(document.get("apiVersion", "")).startswith(f"{GROUP}/"):
                continue
            said = _wrong_head(document)
            if said is None:
                key, obj = _finished(document, path, order=len(objects))
                found = problems(obj, before=before.get(key))
                if key in objects:
                    found.append(f"metadata.name: {key} is declared twice: give one of them another name")
                if not found:
                    objects[key] = obj
                    continue
                said = "; ".join(found)
                if key in before:
                    objects.setdefault(key, before[key])
            wrong.append(f"{place}: {document.get('kind')} {document['metadata'].get('name', '')}: {said}")
        if wrong:
            refused[str(path)] = tuple(wrong)
    return Manifests(objects=objects, secrets=secrets, problems=refused)


def _unfolded(documents: Iterable[tuple[Any, int]]) -> Iterable[tuple[Any, int]]:
    for document, line in documents:
        if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
            yield from ((item, line) for item in document["items"])
        else:
            yield document, line


def _wrong_head(document: Json) -> str | None:
    if document["apiVersion"] != API_VERSION:
        return f"apiVersion: {document['apiVersion']!r} is not known: write {API_VERSION}"
    if document.get("kind") not in KIND_BY_NAME:
        return f"kind: {document.get('kind')!r} is not one of {', '.join(KIND_BY_NAME)}"
    if not isinstance(document["metadata"].get("name"), str):
        return "metadata.name: Required value: generateName works with `kubectl create` only"
    return None


def _finished(document: Json, path: Path, *, order: int) -> tuple[Key, Json]:
    metadata = document["metadata"]
    namespace = metadata.get("namespace") or ""
    key = Key(document["kind"], namespace, metadata["name"])
    return key, {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": namespace,
            "labels": metadata.get("labels") or {},
            "annotations": {**(metadata.get("annotations") or {}), SOURCE_ANNOTATION: str(path)},
            "uid": str(uuid.uuid5(_NAMESPACE, f"{key.kind}/{key.namespace}/{key.name}")),
            # Nobody knows when a manifest was written; the order of the files decides between two that claim the same.
            "creationTimestamp": f"{order:020d}",
            "generation": 1,
            "resourceVersion": "1",
        },
        **{name: value for name, value in document.items() if name not in ("apiVersion", "kind", "metadata", "status")},
    }


def _secret_key(document: Json) -> tuple[str, str]:
    return document["metadata"].get("namespace") or "", str(document["metadata"].get("name"))


def _secret_data(document: Json) -> Mapping[str, str]:
    data = {k: base64.b64decode(v).decode(errors="replace") for k, v in (document.get("data") or {}).items()}
    return {**data, **(document.get("stringData") or {})}
