"""The bodies that apps and senders post, read strictly into values. Each refusal names the field, the reason and the fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from stepwell_protocol import limits
from stepwell_protocol.strict_json import StrictJsonError, load_sliced, slice_of
from stepwell_protocol.wire import InvalidMessage

from ..errors import InvalidInput, TooLarge
from ..model import Kind
from ..transport.caller import CODEC

_NULL = b"null"
_MOST_LABELS = 32
_ENVIRONMENTS = ("dev", "acc", "prod")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBody:
    name: str
    data: bytes
    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBody:
    kind: Kind
    name: str
    input: bytes
    labels: Mapping[str, str]
    idempotency_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppBody:
    name: str
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncBody:
    url: str
    protocol: int
    capabilities: frozenset[str]
    sdk: Mapping[str, object]
    functions: tuple[Mapping[str, Any], ...]


def read_event(raw: bytes) -> EventBody:
    """`{"name", "data", "id"?}`."""
    body = _object(raw)
    data = slice_of(body, "data", codec=CODEC) if "data" in body else _NULL
    over = limits.over_limit("the event's data", size=len(data), limit=limits.EVENT_BYTES)
    if over is not None:
        raise TooLarge(over, field="data")
    return EventBody(name=_text(body, "name"), data=data, id=_optional_text(body, "id"))


def read_start(raw: bytes) -> StartBody:
    """`{"function" | "workflow", "input"?, "labels"?, "idempotencyKey"?}`."""
    body = _object(raw)
    if ("function" in body) == ("workflow" in body):
        raise InvalidInput("name exactly one of `function` and `workflow` to start", field="function")
    kind = Kind.FUNCTION if "function" in body else Kind.WORKFLOW
    given = slice_of(body, "input", codec=CODEC) if "input" in body else _NULL
    over = limits.over_limit("the input", size=len(given), limit=limits.EVENT_BYTES)
    if over is not None:
        raise TooLarge(over, field="input")
    return StartBody(
        kind=kind,
        name=_text(body, kind.value),
        input=given,
        labels=read_labels(body.get("labels")),
        idempotency_key=_optional_text(body, "idempotencyKey"),
    )


def read_app(raw: bytes) -> AppBody:
    """`{"name", "environment"?}`."""
    body = _object(raw)
    name, environment = _text(body, "name", longest=63), body.get("environment", "dev")
    if (
        not name[0].isalnum()
        or not name[-1].isalnum()
        or not all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
    ):
        raise InvalidInput(
            f"{name!r} can't be an app's name: letters, digits, '.', '_' and '-', beginning and ending with a letter or digit",
            field="name",
        )
    if environment not in _ENVIRONMENTS:
        raise InvalidInput(f"{environment!r} is none of {', '.join(_ENVIRONMENTS)}", field="environment")
    return AppBody(name=name, environment=environment)


def read_sync(raw: bytes) -> SyncBody:
    """`{"url", "functions": [{"id", …}], "protocol"?, "capabilities"?, "sdk"?}`."""
    body = _object(raw)
    functions = body.get("functions")
    if not isinstance(functions, list) or len(functions) > 1000 or not all(isinstance(f, dict) for f in functions):
        raise InvalidInput("must be a list of at most 1,000 objects, each with an `id`", field="functions")
    protocol = body.get("protocol", 1)
    if protocol not in (1, 2):
        raise InvalidInput(f"{protocol!r} is not a version this engine speaks: 1 or 2", field="protocol")
    capabilities = body.get("capabilities", [])
    if not isinstance(capabilities, list) or not all(isinstance(c, str) for c in capabilities):
        raise InvalidInput("must be a list of names", field="capabilities")
    sdk = body.get("sdk") or {}
    if not isinstance(sdk, dict) or len(orjson.dumps(sdk)) > 1024:
        raise InvalidInput("must be a small object {name, version, language}", field="sdk")
    return SyncBody(
        url=read_url(body.get("url")),
        protocol=protocol,
        capabilities=frozenset(capabilities),
        sdk=sdk,
        functions=tuple(functions),
    )


def read_url(value: object) -> str:
    """A callback address."""
    if (
        not isinstance(value, str)
        or len(value) > 2048
        or not value.startswith(("http://", "https://"))
        or not value.isascii()
        or " " in value
    ):
        raise InvalidInput(
            "must be an absolute http:// or https:// address, such as http://127.0.0.1:8000/api/stepwell", field="url"
        )
    return value


def read_labels(value: object) -> Mapping[str, str]:
    """At most 32 labels; keys up to 63 and values up to 256 characters."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > _MOST_LABELS:
        raise InvalidInput(f"must be an object of at most {_MOST_LABELS} texts", field="labels")
    for key, text in value.items():
        if not isinstance(text, str) or not 0 < len(key) <= 63 or len(text) > 256:
            raise InvalidInput(
                "keys have 1 to 63 characters, values are texts of at most 256", field=f"labels.{key[:63]}"
            )
    return value


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = load_sliced(raw, place="body", codec=CODEC)
    except (StrictJsonError, InvalidMessage) as error:
        raise InvalidInput(str(error)) from None
    if not isinstance(body, dict):
        raise InvalidInput("the body must be a JSON object")
    return body


def _text(body: dict[str, Any], field: str, *, longest: int = limits.ID_CHARS) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise InvalidInput(f"must be a text of 1 to {longest} characters", field=field)
    return value


def _optional_text(body: dict[str, Any], field: str) -> str | None:
    return None if body.get(field) is None else _text(body, field)
