"""The client of product code: send events, start runs, look at them.

    async with Client() as client:
        await client.send("order.placed", {"id": "o1"})

Every event gets an id of the client's own making, so that sending again after a lost answer cannot count twice;
connection errors and busy engines are retried for up to `timeout` seconds. `SyncClient` (in `stepwell.sync_client`) has
the same methods for plain code.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

import pydantic_core
from pydantic import JsonValue

from stepwell.errors import ConfigurationError, EngineUnreachable, Mistake, RequestRefused
from stepwell.settings import Connection, read_connection
from stepwell.shapes import PLAIN, NotJson
from stepwell_protocol import headers, limits
from stepwell_protocol.answer import encode_sent_event
from stepwell_protocol.client import HttpClient, Response
from stepwell_protocol.http_errors import HttpError, NotSent
from stepwell_protocol.messages import quoted
from stepwell_protocol.signing import sign_v2
from stepwell_protocol.wire import SentEvent

_BUSY: Final = frozenset({408, 425, 429, 502, 503, 504})
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
ENDED: Final = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to send. With an `id` of your own, the same event sent twice counts once."""

    name: str
    data: object = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that was started. `new` is False when the idempotency key led to an earlier one."""

    id: str
    new: bool


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as it stands.

    `status` is active, completed, failed or cancelled; `activity` says what an active run does.
    """

    id: str
    name: str
    kind: str
    status: str
    activity: str | None
    reason: str | None
    output: JsonValue
    error: JsonValue

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


class Client:
    """Talks to the engine as one app."""

    def __init__(
        self,
        *,
        url: str | None = None,
        app_id: str | None = None,
        signing_key: str | None = None,
        timeout: float = 30.0,
        http: HttpClient | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Make a client. What is not given comes from STEPWELL_URL, STEPWELL_APP_ID and STEPWELL_SIGNING_KEY.

        Args:
            url: the engine's address.
            app_id: which app to speak as.
            signing_key: the app's key.
            timeout: seconds that one request may take in all, retries included.
            http: a connection pool to share.
            now: unix time in seconds.
        """
        self._connection = read_connection(url=url, app_id=app_id, signing_key=signing_key)
        self._timeout = timeout
        self._own_http = http is None
        self._http = http or HttpClient(timeout=timeout)
        self._now = now

    @property
    def connection(self) -> Connection:
        """Where the engine is, and as which app this client speaks."""
        return self._connection

    async def send(self, name: str, data: object = None, *, id: str | None = None) -> str:
        """Send an event; returns the engine's id for it, after its commit.

        Raises:
            RequestFailed: the engine refused it, or could not be reached.
        """
        return await self.send_encoded(SentEvent(name, _payload(data, what="the event"), id))

    async def send_encoded(self, event: SentEvent) -> str:
        """Send an event whose data is JSON already; returns the engine's id for it, after its commit.

        Raises:
            RequestFailed: the engine refused it, or could not be reached.
        """
        body = encode_sent_event(SentEvent(event.name, event.data, event.id or str(uuid.uuid4())))
        return str((await self._call("POST", "/e", body))["id"])

    async def send_many(self, events: Sequence[NewEvent]) -> list[str]:
        """Send several events; returns their ids in the same order. Each is accepted or refused on its own.

        Raises:
            RequestFailed: at least one was refused or could not be sent; the others are sent.
        """
        outcomes = await asyncio.gather(
            *(self.send(event.name, event.data, id=event.id) for event in events), return_exceptions=True
        )
        ids: list[str] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            ids.append(outcome)
        return ids

    async def start(
        self,
        function: str,
        input: object = None,
        *,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> StartedRun:
        """Start a run of a function by its id.

        Raises:
            RequestFailed: the engine refused, or could not be reached.
        """
        data = _payload(input, what="the input")
        return await self.start_encoded(function, data, labels=labels, idempotency_key=idempotency_key)

    async def start_workflow(
        self,
        workflow: str,
        input: object = None,
        *,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> StartedRun:
        """Start a run of a workflow by its name.

        Raises:
            RequestFailed: the engine refused, or could not be reached.
        """
        data = _payload(input, what="the input")
        return await self.start_encoded(workflow, data, labels=labels, idempotency_key=idempotency_key, kind="workflow")

    async def start_encoded(
        self,
        name: str,
        data: bytes,
        *,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        kind: str = "function",
    ) -> StartedRun:
        """Start a run with an input that is JSON already.

        Raises:
            RequestFailed: the engine refused, or could not be reached.
        """
        body = b'{%b:%b,"input":%b,"labels":%b,"idempotencyKey":%b}' % (
            quoted(kind),
            quoted(name),
            data,
            pydantic_core.to_json(dict(labels or {})),
            quoted(idempotency_key or str(uuid.uuid4())),
        )
        answer = await self._call("POST", "/fn/start", body)
        return StartedRun(str(answer["id"]), bool(answer.get("new", True)))

    async def get(self, run_id: str) -> RunState:
        """A run as it stands.

        Raises:
            RequestFailed: this app has no such run, or the engine could not be reached.
        """
        found = await self._call("GET", f"/fn/runs/{run_id}", b"")
        return RunState(
            id=str(found.get("id", run_id)),
            name=str(found.get("name", "")),
            kind=str(found.get("kind", "")),
            status=str(found.get("status", "")),
            activity=found.get("activity"),
            reason=found.get("reason"),
            output=found.get("output"),
            error=found.get("error"),
        )

    async def wait(self, run_id: str, *, timeout: float | timedelta = 60.0) -> RunState:
        """Look at a run until it has ended.

        Raises:
            TimeoutError: it had not ended in time; it goes on.
            RequestFailed: this app has no such run, or the engine could not be reached.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        pause = _FIRST_PAUSE
        async with asyncio.timeout(seconds):
            while not (state := await self.get(run_id)).has_ended:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 1.0)
        return state

    async def sync(
        self,
        url: str,
        functions: Sequence[Mapping[str, Any]],
        *,
        sdk: Mapping[str, str],
        capabilities: Sequence[str] = (),
    ) -> None:
        """Tell the engine which functions this app serves, and at which address. It takes effect at once.

        Raises:
            RequestFailed: the engine refused a definition (the message names field and fix), or could not be reached.
        """
        body = pydantic_core.to_json(
            {
                "url": url,
                "protocol": 2,
                "capabilities": list(capabilities),
                "sdk": dict(sdk),
                "functions": list(functions),
            }
        )
        await self._call("POST", "/fn/sync", body)

    async def register(self, name: str, *, environment: str = "dev", admin_token: str | None = None) -> Connection:
        """Make an app, or find it: the same name and environment give the same app. From here on, speak as this app.

        Raises:
            RequestFailed: the admin token is wrong, or the engine could not be reached.
        """
        body = pydantic_core.to_json({"name": name, "environment": environment})
        sent = {headers.CONTENT_TYPE: headers.JSON}
        if admin_token is not None:
            sent[headers.AUTHORIZATION] = f"Bearer {admin_token}"
        found = await self._call("POST", "/api/apps", body, sent=sent)
        self._connection = Connection(self._connection.url, str(found["appId"]), (str(found["signingKey"]),))
        return self._connection

    async def close(self) -> None:
        """Close the connections that this client opened."""
        if self._own_http:
            await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(
        self, method: str, path: str, body: bytes, *, sent: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Send a request until it is answered or time is up. Whatever is sent here may arrive twice without harm."""
        deadline = time.monotonic() + self._timeout
        pause = _FIRST_PAUSE
        counted = False
        while True:
            left = deadline - time.monotonic()
            try:
                response = await self._http.request(
                    method, self._connection.url + path, headers=sent or self._headers(body), body=body, timeout=left
                )
            except HttpError as error:
                counted = counted or not isinstance(error, NotSent)
                failure = EngineUnreachable(f"{self._connection.url}: {error}", may_have_counted=counted)
            else:
                if response.status not in _BUSY:
                    return _read(response)
                counted = True
                failure = EngineUnreachable(f"{self._connection.url}: HTTP {response.status}", may_have_counted=counted)
            wait = random.uniform(pause / 2, pause)  # noqa: S311 - jitter
            if time.monotonic() + wait >= deadline:
                raise failure
            await asyncio.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _headers(self, body: bytes) -> dict[str, str]:
        connection = self._connection
        if connection.app_id is None or not connection.signing_keys:
            raise ConfigurationError(
                "the client does not know as which app to speak: set STEPWELL_APP_ID and STEPWELL_SIGNING_KEY, "
                "give app_id= and signing_key=, or call register() against a local engine"
            )
        return {
            headers.CONTENT_TYPE: headers.JSON,
            headers.APP: connection.app_id,
            headers.PROTOCOL: "2",
            headers.SIGNATURE: sign_v2(body, connection.signing_keys[0], now=self._now()),
        }


def _payload(data: object, *, what: str) -> bytes:
    try:
        encoded = PLAIN.dump(data)
    except NotJson as refusal:
        raise Mistake(f"{what} {refusal}") from None
    if over := limits.over_limit(what, size=len(encoded), limit=limits.EVENT_BYTES):
        raise Mistake(over)
    return encoded


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        body = pydantic_core.from_json(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _read(response: Response) -> dict[str, Any]:
    body = _parsed(response.body)
    if 200 <= response.status < 300:
        if body is None:
            raise EngineUnreachable(
                f"HTTP {response.status}, but no answer that makes sense: is this the engine's address?",
                may_have_counted=True,
            )
        return body
    body = body or {}
    reason = body.get("detail") or body.get("title") or response.body[:200].decode("utf-8", "replace")
    raise RequestRefused(f"HTTP {response.status}: {reason}", status=response.status, problem=body)
