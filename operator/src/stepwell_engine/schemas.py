"""JSON Schema (Draft 2020-12) for run inputs.

A schema is checked when its definition is read: it must be valid, every `$ref` must begin with `#` and lead
somewhere, and nothing is ever fetched. Values are checked when a run starts; each complaint names its place in the
input. `pattern` runs on a regular-expression engine without backtracking, so no input can stall the process
(look-around and back-references do not exist there and are refused with the schema).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import cel
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
MOST_COMPLAINTS: Final = 5
_MATCHES: Final = cel.compile("text.matches(pattern)")
_META: Final = Draft202012Validator(Draft202012Validator.META_SCHEMA)


class InvalidSchema(ValueError):
    """A schema that is refused. `place` is the path inside the schema, such as ".properties.orderId"."""

    def __init__(self, place: str, reason: str, *, fix: str) -> None:
        super().__init__(f"{place or 'schema'}: {reason}: {fix}")
        self.place = place
        self.reason = reason
        self.fix = fix


class InputSchema:
    """A checked schema, ready to judge inputs."""

    def __init__(self, document: Mapping[str, Any] | bool) -> None:
        """Check and compile.

        Raises:
            InvalidSchema: naming the place, the reason and the fix.
        """
        _check(document)
        self.document = document
        self._validator = _Validator(document, registry=Registry())

    def complaints(self, value: Any, *, root: str = "input") -> tuple[str, ...]:
        """What is wrong with a value, at most five sentences such as "input.orderId: 5 is not of type 'string'"."""
        try:
            errors = sorted(
                self._validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path]
            )
        except RecursionError:
            return (f"{root}: the schema never ends on this value, because a $ref leads back to itself",)
        return tuple(_sentence(error, root) for error in errors[:MOST_COMPLAINTS])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InputSchema) and other.document == self.document

    def __hash__(self) -> int:
        return hash(InputSchema)


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _MATCHES.execute({"text": instance, "pattern": pattern}):
        yield ValidationError(f"{_short(instance)} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, _: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, schema in patterns.items():
            for name, member in instance.items():
                if _MATCHES.execute({"text": name, "pattern": pattern}):
                    yield from validator.descend(member, schema, path=name, schema_path=pattern)


_Validator: Final[Any] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern, "patternProperties": _pattern_properties}
)


def _check(document: Mapping[str, Any] | bool) -> None:
    if not isinstance(document, Mapping | bool):
        raise InvalidSchema("", "a schema is an object", fix="write for example {type: object}")
    try:
        error = best_match(_META.iter_errors(document))
    except RecursionError:
        raise InvalidSchema("", "the schema nests too deep", fix="flatten it") from None
    if error is not None:
        raise InvalidSchema(_place(error), error.message, fix="write it as JSON Schema 2020-12 has it")
    resolver = Registry().with_resource("", Resource.from_contents(document, default_specification=DRAFT202012))
    for place, keyword, text in _texts(document, ""):
        if keyword == "$schema" and text.rstrip("#") != DRAFT:
            raise InvalidSchema(place, f"{text!r} is another dialect", fix=f"remove $schema or write {DRAFT}")
        if keyword in ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary"):
            raise InvalidSchema(
                place, f"{keyword} is not supported", fix="keep shared parts in $defs and use $ref: '#/$defs/…'"
            )
        if keyword == "$ref":
            _check_reference(resolver, place, text)
        if keyword in ("pattern", "patternProperties"):
            _check_pattern(place, text)


def _check_reference(registry: Registry[Any], place: str, reference: str) -> None:
    if not reference.startswith("#"):
        raise InvalidSchema(
            place, f"{reference!r} points outside of the schema", fix="copy it into $defs and begin $ref with #"
        )
    try:
        registry.resolver().lookup(reference)
    except Unresolvable:
        raise InvalidSchema(place, f"{reference!r} leads nowhere", fix="point to a part of this schema") from None


def _check_pattern(place: str, pattern: str) -> None:
    try:
        _MATCHES.execute({"text": "", "pattern": pattern})
    except (RuntimeError, TypeError, ValueError):
        reason = f"{pattern!r} is not a regular expression that runs in linear time"
        raise InvalidSchema(place, reason, fix="correct it; look-around and back-references can't be used") from None


def _texts(schema: Any, place: str) -> Iterator[tuple[str, str, str]]:
    """(place, keyword, text) of every keyword that is checked here. Data such as `default` and `enum` is left alone."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _texts(item, f"{place}[{index}]")
    if not isinstance(schema, Mapping):
        return
    for keyword, part in schema.items():
        here = f"{place}.{keyword}"
        if keyword in ("const", "default", "enum", "examples"):
            continue
        if isinstance(part, str):
            yield here, keyword, part
        elif keyword in ("properties", "patternProperties", "$defs", "dependentSchemas", "definitions") and isinstance(
            part, Mapping
        ):
            for name, member in part.items():
                if keyword == "patternProperties":
                    yield here, keyword, name
                yield from _texts(member, f"{here}.{name}")
        else:
            yield from _texts(part, here)


def _sentence(error: ValidationError, root: str) -> str:
    place = root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    message = error.message if len(error.message) <= 300 else error.message[:299] + "…"
    return f"{place}: {message}"


def _place(error: ValidationError) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
