"""An `http` step's request to somebody else's service, and what came of it.

Nothing is signed here, no redirect is followed, and the answer is bounded like a step's result. The `idempotency-key` header
carries (run, step), the same on every attempt.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from stepwell_protocol import limits
from stepwell_protocol.client import HttpClient
from stepwell_protocol.http_errors import HttpError, NotSent, RequestRefused, ResponseTimeout
from stepwell_protocol.strict_json import StrictJsonError, loads
from stepwell_protocol.wire import ErrorData

from .caller import CODEC
from .outcomes import TRY_LATER, AttemptUsed, Unreached


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """`body` is JSON or None. `expect` empty: any 2xx will do. `timeout` in seconds."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    expect: tuple[int, ...]
    timeout: float
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Replied:
    """The step's result, as JSON."""

    data: bytes


async def send_request(client: HttpClient, request: HttpRequest) -> Replied | AttemptUsed | Unreached:
    """Send it. The result is `{"status", "body"}`, the body parsed where it is JSON and text otherwise."""
    headers = {"accept": "application/json", "idempotency-key": request.idempotency_key, **request.headers}
    if request.body is not None:
        headers.setdefault("content-type", "application/json")
    try:
        response = await client.request(
            request.method,
            request.url,
            headers=headers,
            body=request.body or b"",
            timeout=request.timeout,
            max_response=limits.STEP_RESULT_BYTES,
        )
    except RequestRefused as error:
        return AttemptUsed(ErrorData(name="InvalidRequest", message=f"{request.url}: {error}", retryable=False))
    except NotSent as error:
        return Unreached(f"{request.url}: {error}", may_have_started=False)
    except ResponseTimeout:
        return AttemptUsed(
            ErrorData(name="StepTimedOut", message=f"{request.url} did not answer within {request.timeout:g} s")
        )
    except HttpError as error:
        return AttemptUsed(ErrorData(name="HttpError", message=f"{request.url}: {error}"))
    wanted = response.status in request.expect if request.expect else 200 <= response.status < 300
    if not wanted:
        if response.status in TRY_LATER:
            return Unreached(f"{request.url}: HTTP {response.status}", may_have_started=False)
        expected = ", ".join(map(str, request.expect)) or "any 2xx"
        return AttemptUsed(
            ErrorData(name="HttpError", message=f"{request.url} answered HTTP {response.status}; expected {expected}")
        )
    return Replied(orjson.dumps({"status": response.status, "body": _parsed(response.body)}))


def _parsed(body: bytes) -> object:
    if not body:
        return None
    try:
        return loads(body, place="answer", codec=CODEC)
    except StrictJsonError:
        return body.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
