"""Ask an app what it serves: the probe of its callback address and the source of discovery.

One signed GET. Any HTTP answer below 500 shows that the address leads to the app; a signed version-2 answer also says
what it serves, in the form of a version-2 `sync` without `url`. An app that speaks only version 1 knows no such request:
it is reachable and announces itself by `POST /fn/sync`.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from stepwell_engine.clock import Clock
from stepwell_engine.definition import InvalidDefinition
from stepwell_engine.errors import InvalidInput
from stepwell_engine.gateway.requests import SyncBody, read_sync
from stepwell_engine.gateway.sync import read_declarations
from stepwell_engine.journal.definitions import Declaration
from stepwell_protocol import headers
from stepwell_protocol.client import HttpClient
from stepwell_protocol.http_errors import HttpError
from stepwell_protocol.signing import SignatureRefused, sign_v1, sign_v2, verify_v2

PROBE_SECONDS = 5.0
ANSWER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Serving:
    """What the app says it serves; `body` is its answer without the time, for telling whether anything changed."""

    body: bytes
    sync: SyncBody
    declarations: tuple[Declaration, ...]
    handlers: frozenset[str] | None
    """Ids of workflow steps' handlers; None: the app did not say."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one request found. `error` None: the app is there. `serving` None: it said nothing that discovery can use,
    and `refusal` says why if it tried."""

    error: str | None
    reason: str = "Reachable"
    serving: Serving | None = None
    refusal: str | None = None
    said_at: float | None = None
    """The app's own time, in unix seconds, where it says one."""


async def probe(http: HttpClient, *, url: str, app_id: str, signing_keys: tuple[str, ...], clock: Clock) -> Probe:
    """One request to the app. Never raises for what the app does or is."""
    sent = {
        headers.APP: app_id,
        headers.PROTOCOL: str(headers.PROTOCOL_VERSION),
        headers.SIGNATURE: sign_v2(b"", signing_keys, now=clock.time()),
        headers.SIGNATURE_V1: sign_v1(b"", signing_keys[0]),
        "accept": headers.JSON,
    }
    try:
        answer = await http.request("GET", url, headers=sent, timeout=PROBE_SECONDS, max_response=ANSWER_BYTES)
    except HttpError as error:
        return Probe(error=f"{url} can't be reached: {error}", reason="Unreachable")
    if answer.status >= 500:
        return Probe(error=f"{url} answers HTTP {answer.status}: look into the app's log", reason="Failing")
    if answer.status in (401, 403):
        return Probe(
            error=f"{url} answers HTTP {answer.status}{_told(answer.body)}: does the app hold the signing key of the app's"
            " Secret, and is its clock right?",
            reason="Unauthorized",
        )
    if answer.status == 404:
        return Probe(error=f"{url} answers HTTP 404: is the callback's path right?", reason="NotFound")
    signature = answer.header(headers.SIGNATURE)
    if answer.status != 200 or signature is None:
        return Probe(error=None)
    try:
        verify_v2(answer.body, signature, signing_keys, now=clock.time())
    except SignatureRefused as error:
        return Probe(error=f"{url} answers, but {error}", reason="SignatureRefused")
    return _read(answer.body, url=url)


def _read(body: bytes, *, url: str) -> Probe:
    try:
        said: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Probe(error=None, refusal=f"its answer to GET is not JSON: {error}")
    if not isinstance(said, dict):
        return Probe(error=None, refusal="its answer to GET is not an object")
    try:
        sync = read_sync(orjson.dumps(said | {"url": url, "protocol": said.get("protocol", 2)}))
        declarations, _ = read_declarations(sync)
    except (InvalidInput, InvalidDefinition) as error:
        return Probe(error=None, refusal=f"what it says it serves is refused: {error}")
    said_at = said.get("time")
    return Probe(
        error=None,
        said_at=said_at / 1000 if type(said_at) is int else None,
        serving=Serving(
            body=orjson.dumps({**said, "time": None}),
            sync=sync,
            declarations=tuple(declarations),
            handlers=_handlers(said),
        ),
    )


def _told(body: bytes) -> str:
    """Why the app says it refuses."""
    try:
        told = orjson.loads(body)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return f" ({told:.200})" if isinstance(told, str) and told.isprintable() else ""


def _handlers(said: dict[str, Any]) -> frozenset[str] | None:
    """`steps`: a list of `{"id", …}`."""
    listed = said.get("steps")
    if not isinstance(listed, list):
        return None
    return frozenset(str(item["id"]) for item in listed if isinstance(item, dict) and "id" in item)
