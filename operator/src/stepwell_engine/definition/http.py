"""The `http` step: a request to a Service of the namespace, or to a URL.

The host is always literal: data can choose a path, a query or a body, never whom the engine talks to.
"""

import re
from enum import StrEnum
from typing import Final

from .reader import Reader
from .spec import Http, Service

MOST_HEADERS: Final = 32
MOST_EXPECTED: Final = 32
_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(?:[/?].*)?")
_SERVICE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_OURS: Final = frozenset({"connection", "content-length", "host", "transfer-encoding", "idempotency-key"})


class _Method(StrEnum):
    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


def read_http(reader: Reader) -> Http:
    reader.one_of(("service", "url"), what="an http step")
    url = reader.text("url", longest=2048, fix="write a URL that begins with http:// or https://")
    if url is not None and not _URL.fullmatch(url):
        fix = "write http:// or https:// and a host; templates may stand behind the host"
        reader.problems.add(reader.at("url"), f"{url!r} is not a URL with a literal host", fix=fix)
    method = reader.choice("method", _Method, default=_Method.POST)
    if method is _Method.GET and reader.has("body"):
        reader.problems.add(
            reader.at("body"), "a GET request has no body", fix="write method: POST, or remove the body"
        )
    found = Http(
        service=_service(reader),
        url=url,
        method=method.value,
        headers=_headers(reader),
        body=reader.raw("body"),
        expect=_expect(reader),
    )
    reader.close()
    return found


def _service(reader: Reader) -> Service | None:
    inner = reader.object("service", fix="write for example service: {name: audit, port: 80, path: /v1}")
    if inner is None:
        return None
    name: str | None = inner.text(
        "name", required=True, longest=63, fix="write the name of a Service in this namespace"
    )
    if name is not None and not _SERVICE.fullmatch(name):
        inner.problems.add(inner.at("name"), f"{name!r} can't name a Service", fix="write small letters, digits and -")
    path = inner.text("path", longest=2048, fix="write a path that begins with /") or "/"
    if not path.startswith("/"):
        inner.problems.add(inner.at("path"), f"{path!r} is not a path", fix="begin it with /")
    port = inner.integer("port", default=80, least=1, most=65535)
    inner.close()
    return None if name is None else Service(name=name, port=port, path=path)


def _headers(reader: Reader) -> dict[str, str]:
    inner = reader.object("headers", fix="write for example headers: {accept: application/json}")
    if inner is None:
        return {}
    found: dict[str, str] = {}
    for name in inner.document:
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            reason = f"{name!r} can't be set here"
            inner.problems.add(
                inner.path, reason, fix=f"use another header; the engine sets {', '.join(sorted(_OURS))}"
            )
            continue
        value = inner.text(name, longest=4096, fix="write a text")
        if value is not None and re.search(r"[\r\n\0]", value):
            inner.problems.add(inner.at(name), "the value has a line break", fix="write it on one line")
        found[name] = value or ""
    if len(found) > MOST_HEADERS:
        inner.problems.add(inner.path, f"{len(found)} headers are more than {MOST_HEADERS}", fix="write fewer")
    return found


def _expect(reader: Reader) -> tuple[int, ...]:
    codes = reader.raw("expect", [])
    if (
        not isinstance(codes, list)
        or len(codes) > MOST_EXPECTED
        or not all(isinstance(code, int) and not isinstance(code, bool) and 200 <= code <= 599 for code in codes)
    ):
        fix = "write for example expect: [200, 202]"
        reader.problems.add(reader.at("expect"), "it is not a list of HTTP status codes from 200 to 599", fix=fix)
        return ()
    return tuple(codes)
