"""YAML as kubectl reads it, which is YAML 1.1 as Go's parser has it.

`yes`, `on`, `y` and their kin are booleans, as keys too (where they become the texts "true" and "false"); `1e3` is a
number and so is `010`, eight; timestamps and `1:30` are texts. A key that stands twice is refused here, because one of
the two would silently get lost. Multi-document files and JSON are read alike. A table test compares this with kubectl.

Raises `BadYaml`, which names file, line, reason and fix.
"""

import math
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

_PLAIN = "tag:stepwell.dev,2026:plain"
_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"[-+]?0(?:[xX][0-9a-fA-F]+|[bB][01]+|[oO]?[0-7]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class BadYaml(Exception):
    """A file that can't be read. The message names file, line, reason and fix."""


def read_documents(path: Path) -> list[tuple[Any, int]]:
    """Every document of a file with the line it begins on. Raises BadYaml."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadYaml(f"{path}: can't be read: {error}") from None
    return list(parse(text, source=str(path)))


def parse(text: str, *, source: str) -> Iterator[tuple[Any, int]]:
    """Every document of a text with the line it begins on, empty ones left out. Raises BadYaml."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            value = loader.construct_document(node)
            if value is not None:
                yield value, node.start_mark.line + 1
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}" if mark is not None else source
        raise BadYaml(f"{place}: {error.problem or error.context or 'this is not YAML'}") from None
    except yaml.YAMLError as error:
        raise BadYaml(f"{source}: {error}") from None
    finally:
        loader.dispose()


def scalar(text: str) -> Any:
    """What a plain (unquoted) scalar means."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text in _NULL:
        return None
    plain = text.replace("_", "") if text[0] in "-+.0123456789" else text
    if (whole := _integer(plain)) is not None:
        return whole
    if _NOT_FINITE.fullmatch(plain):
        return math.inf
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    return text


def _integer(plain: str) -> int | float | None:
    if _PREFIXED.fullmatch(plain):
        digits = plain.lstrip("+-").lower()
        base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2], 8)
        value = int(digits[2:] if digits[1] in "xbo" else digits, base)
    elif _DECIMAL.fullmatch(plain) and (plain.lstrip("+-") == "0" or not plain.lstrip("+-").startswith("0")):
        value = int(plain.lstrip("+-"))
    else:
        return None
    value = -value if plain.startswith("-") else value
    # Beyond 64 bits with sign kubectl goes on with the nearest floating-point number.
    return value if -(2**63) <= value < 2**63 else float(value)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile(r"^<<$"))]}  # noqa: RUF012

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        if kind is yaml.ScalarNode and implicit[0] and tag != "tag:yaml.org,2002:merge":
            return _PLAIN
        return tag

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: ARG002
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = _key(self.construct_object(key_node, deep=True), key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice: remove one of them", key_node.start_mark
                )
            seen.add(key)
        self.flatten_mapping(node)
        return {
            _key(self.construct_object(key_node, deep=True), key_node): self.construct_object(value_node, deep=True)
            for key_node, value_node in node.value
        }

    def construct_plain(self, node: yaml.ScalarNode) -> Any:
        value = scalar(self.construct_scalar(node))
        if isinstance(value, float) and not math.isfinite(value):
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value} is not a number that JSON can hold: quote it", node.start_mark
            )
        return value

    def construct_map(self, node: yaml.MappingNode) -> Any:
        return self.construct_mapping(node, deep=True)


def _key(value: Any, node: yaml.Node) -> str:
    """Keys are texts in JSON."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float() | str():
            return str(value)
        case _:
            what = "null" if value is None else "a list or mapping"
            raise yaml.constructor.ConstructorError(
                None, None, f"{what} can't be a key: write a text in quotes", node.start_mark
            )


_Loader.add_constructor(_PLAIN, _Loader.construct_plain)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_map)
