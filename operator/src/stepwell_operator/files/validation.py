"""The API server's checks, for manifests that never see one.

Walks the very schema that the CRD carries: unknown fields, types, bounds, patterns, enums, then the CEL rules, transition
rules included when there is an earlier object. Fills in the schema's defaults. All problems are told at once, each with
the field's path, in the words a cluster would use; a rule's own message says what to write instead.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import cel

from ..objects import Json
from ..resources import KIND_BY_NAME, object_schema

#: The words of CEL that Kubernetes writes as `__word__` when they name a field.
_RESERVED = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"),
        *("let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)
_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


@functools.cache
def schema_of(kind: str) -> Json:
    """The structural schema of a kind, as in its CRD."""
    return object_schema(KIND_BY_NAME[kind])


def problems(obj: Json, *, before: Json | None = None) -> list[str]:
    """What an API server would refuse of `obj`; empty when it would take it. Defaults are filled in on the way."""
    return list(_check(obj, schema_of(obj["kind"]), "", before))


def _check(value: Any, schema: Json, path: str, before: Any) -> Iterator[str]:
    expected = schema.get("type")
    if expected is not None and not _is(value, expected):
        yield f"{path}: Invalid value: {_shown(value)}: must be of type {expected}"
        return
    broken = list(_bounds(value, schema, path))
    yield from broken
    if isinstance(value, dict):
        yield from _members(value, schema, path, before if isinstance(before, dict) else None)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], f"{path}[{index}]", None)
    yield from _rules(value, schema, path, before)


def _members(value: Json, schema: Json, path: str, before: Json | None) -> Iterator[str]:
    properties: Json = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    for name in [name for name, member in value.items() if member is None and name in properties]:
        del value[name]
    for name, member in properties.items():
        if name not in value and "default" in member:
            value[name] = member["default"]
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_below(path, name)}: Required value"
    for name, member in value.items():
        there = None if before is None else before.get(name)
        if name in properties:
            yield from _check(member, properties[name], _below(path, name), there)
        elif extra is not None:
            yield from _check(member, extra, _below(path, name), there)
        elif properties and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f'unknown field "{_below(path, name)}"'


def _bounds(value: Any, schema: Json, path: str) -> Iterator[str]:
    match value:
        case str():
            yield from _size(len(value), schema, path, "Length", "characters")
            if (pattern := schema.get("pattern")) and not re.search(pattern, value):
                yield f"{path}: Invalid value: {_shown(value)}: should match {pattern!r}"
        case list():
            yield from _size(len(value), schema, path, "Items", "items")
        case dict():
            yield from _size(len(value), schema, path, "Properties", "properties")
        case bool():
            pass
        case int() | float():
            if "minimum" in schema and value < schema["minimum"]:
                yield f"{path}: Invalid value: {value}: should be greater than or equal to {schema['minimum']}"
            if "maximum" in schema and value > schema["maximum"]:
                yield f"{path}: Invalid value: {value}: should be less than or equal to {schema['maximum']}"
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{choice}"' for choice in schema["enum"])
        yield f"{path}: Unsupported value: {_shown(value)}: supported values: {supported}"


def _size(size: int, schema: Json, path: str, what: str, unit: str) -> Iterator[str]:
    if size > schema.get(f"max{what}", size):
        yield f"{path}: Too many: {size}: must have at most {schema[f'max{what}']} {unit}"
    if size < schema.get(f"min{what}", size):
        yield f"{path}: Invalid value: should have at least {schema[f'min{what}']} {unit}"


def _rules(value: Any, schema: Json, path: str, before: Any) -> Iterator[str]:
    for entry in schema.get("x-kubernetes-validations", ()):
        scope = {"self": _escaped(value)}
        if "oldSelf" in entry["rule"]:
            if before is None:
                continue
            scope["oldSelf"] = _escaped(before)
        try:
            holds = cel.evaluate(entry["rule"], scope)
        except (ValueError, RuntimeError, TypeError, KeyError):
            # A rule over a value that has another problem, which is told already, says nothing.
            continue
        if holds is False:
            yield f"{path}{entry.get('fieldPath', '')}: Invalid value: {entry['message']}"


def _escaped(value: Any) -> Any:
    """CEL's reserved words as Kubernetes spells them in rules."""
    match value:
        case Mapping():
            return {(f"__{key}__" if key in _RESERVED else key): _escaped(member) for key, member in value.items()}
        case list():
            return [_escaped(item) for item in value]
        case _:
            return value


def _is(value: Any, expected: str) -> bool:
    if isinstance(value, bool):
        return expected == "boolean"
    return isinstance(value, _TYPES[expected])


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    match value:
        case str():
            return f'"{value[:80]}"'
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return str(value)
