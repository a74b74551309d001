"""The little HTTP that the gateway needs on ASGI: a bounded body, a JSON answer, a problem."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from stepwell_protocol import limits

from ..errors import InvalidInput, StepwellError, TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client: str

    def header(self, name: str) -> str | None:
        return self.headers.get(name)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_answer(value: object, *, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(value))


def problem(error: StepwellError) -> Answer:
    """RFC 9457 problem details; `type` is stable, `detail` says what to do."""
    body: dict[str, object] = {
        "type": f"https://stepwell.dev/problems/{error.code}",
        "title": error.code,
        "status": error.status,
        "detail": str(error),
    }
    if isinstance(error, InvalidInput) and error.field is not None:
        body["field"] = error.field
    extra = ((b"retry-after", b"1"),) if error.retryable else ()
    return Answer(error.status, orjson.dumps(body), ((b"content-type", b"application/problem+json"), *extra))


async def read(scope: Scope, receive: Receive, *, limit: int = limits.JOURNAL_BYTES) -> Request:
    """The whole request. Raises TooLarge before more than `limit` bytes are held."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    message = await receive()
    body = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise InvalidInput("the request ended before its body did")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise TooLarge(limits.over_limit("the request", size=size, limit=limit) or "the request is too large")
        body = b"".join(parts)
    client = scope.get("client") or ("", 0)
    return Request(scope["method"], scope["path"], headers, body, str(client[0]))


async def send_answer(send: Send, answer: Answer) -> None:
    headers = list(answer.headers)
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"application/json"))
    headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
