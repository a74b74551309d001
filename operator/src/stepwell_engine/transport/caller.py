"""One call to an app, and its outcome.

    Answered      signed and readable: the operations it holds
    AttemptUsed   HTTP 500 and other statuses, unsigned, unparsable or endless 2xx, over its time: an attempt of the step's own
    Illegal       well signed, but it says what can't be: the run fails
    Unreached     no connection, 408, 425, 429, 502, 503, 504, or the app refused to start: no attempt is used up

What an answer may hold is checked by stepwell_protocol; what it may mean, by `driving.answers`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import orjson

from stepwell_protocol import headers
from stepwell_protocol.client import Deadline, HttpClient, Response
from stepwell_protocol.http_errors import HttpError, NotSent, RequestRefused, ResponseTimeout, ResponseTooLarge
from stepwell_protocol.signing import SignatureRefused, sign_v1, sign_v2, verify_v1, verify_v2
from stepwell_protocol.strict_json import Codec, StrictJsonError
from stepwell_protocol.wire import ErrorData, InvalidMessage, Operation, decode_answer_v1, decode_answer_v2

from ..clock import Clock
from ..model import App

__all__ = ["Answered", "AttemptUsed", "Caller", "Deadline", "Illegal", "Outcome", "Unreached"]

#: What orjson reads and writes back unchanged needs no slower look.
CODEC = Codec(loads=orjson.loads, dumps=orjson.dumps)

_TRY_LATER = frozenset({408, 425, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answered:
    ops: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class AttemptUsed:
    error: ErrorData


@dataclass(frozen=True, slots=True)
class Illegal:
    error: ErrorData


@dataclass(frozen=True, slots=True)
class Unreached:
    """`may_have_started`: the app may have got the call, so it must not be repeated before the call's startBy."""

    message: str
    retry_after: timedelta | None = None
    may_have_started: bool = True


Outcome = Answered | AttemptUsed | Illegal | Unreached


class Caller:
    """Calls apps. One for a process: it owns the pool of connections. `max_answer` bounds what is read of an answer."""

    def __init__(self, *, clock: Clock, max_connections: int = 1024, max_answer: int = 72 * 1024 * 1024) -> None:
        self._clock = clock
        self.client = HttpClient(max_connections=max_connections)
        self._max_answer = max_answer

    async def close(self) -> None:
        await self.client.close()

    async def call(
        self,
        app: App,
        body: bytes,
        *,
        token: int,
        seq: Callable[[], int],
        deadline: Deadline,
        send_by: float,
        traceparent: str | None = None,
    ) -> Outcome:
        """Send one call, unless it is past `send_by` (a monotonic time), and wait for its answer until the deadline, which each
        checkpoint of its handler moves on. Cancelling closes the connection."""
        if app.url is None:
            return Unreached(
                "the app has no callback address yet: it has not synced, or its StepwellApp names none",
                may_have_started=False,
            )
        try:
            response = await self.client.request(
                "POST",
                app.url,
                headers=self.sign(app, body, traceparent),
                body=body,
                timeout=deadline,
                send_by=send_by,
                max_response=self._max_answer,
            )
        except ResponseTimeout:
            return AttemptUsed(
                ErrorData(
                    name="StepTimedOut",
                    message=f"the app did not answer within {deadline.seconds:g} s (timeouts.step)",
                )
            )
        except (NotSent, RequestRefused) as error:
            return Unreached(f"{app.url}: {error}", may_have_started=False)
        except ResponseTooLarge as error:
            return AttemptUsed(ErrorData(name="UnreadableAnswer", message=f"{app.url}: {error}"))
        except HttpError as error:
            return Unreached(f"{app.url}: {error}")
        return self._read(app, response, token=token, seq=seq())

    def sign(self, app: App, body: bytes, traceparent: str | None = None) -> dict[str, str]:
        """The headers of a call: both signatures, unless the app wants the timed one only."""
        signed = {headers.CONTENT_TYPE: headers.JSON, headers.APP: app.id}
        if app.protocol >= 2:
            signed[headers.PROTOCOL] = "2"
            signed[headers.SIGNATURE] = sign_v2(body, app.signing_keys, now=self._clock.time())
        if not app.timed_signature_only:
            signed[headers.SIGNATURE_V1] = sign_v1(body, app.signing_keys[0])
        if traceparent is not None:
            signed[headers.TRACEPARENT] = traceparent
        return signed

    def _read(self, app: App, response: Response, *, token: int, seq: int) -> Outcome:
        status = response.status
        if status in _TRY_LATER:
            return Unreached(
                f"{app.url}: HTTP {status}",
                retry_after=_retry_after(response.header(headers.RETRY_AFTER)),
                may_have_started=status in (408, 504),
            )
        if not 200 <= status < 300:
            refusal = self._refusal(app, response) if status == 409 else None
            if refusal is not None:
                return Unreached(f"{app.url}: the app refused the call as {refusal}")
            return AttemptUsed(
                ErrorData(name="HttpError", message=f"the app answered HTTP {status}: {_excerpt(response.body)}")
            )
        if (reason := self._unsigned(app, response)) is not None:
            return AttemptUsed(
                ErrorData(name="UnsignedAnswer", message=f"the app answered HTTP {status}, but {reason}")
            )
        try:
            if app.protocol < 2:
                return Answered((decode_answer_v1(response.body, codec=CODEC),))
            answer = decode_answer_v2(response.body, codec=CODEC)
        except StrictJsonError as error:
            return AttemptUsed(ErrorData(name="UnreadableAnswer", message=str(error)))
        except InvalidMessage as error:
            return Illegal(ErrorData(name="IllegalAnswer", message=str(error), retryable=False))
        if (answer.token, answer.seq) != (token, seq):
            return AttemptUsed(
                ErrorData(
                    name="UnreadableAnswer",
                    message=f"the answer is to token {answer.token}, exchange {answer.seq}; "
                    f"the call was token {token}, exchange {seq}",
                )
            )
        return Answered(answer.ops)

    def _unsigned(self, app: App, response: Response) -> str | None:
        """Why the answer's signature is not accepted, None when it is."""
        timed = response.header(headers.SIGNATURE)
        if timed is not None:
            try:
                verify_v2(response.body, timed, app.signing_keys, now=self._clock.time())
            except SignatureRefused as error:
                return str(error)
            return None
        if app.protocol >= 2 or app.timed_signature_only:
            return f"it carries no {headers.SIGNATURE}"
        if not verify_v1(response.body, response.header(headers.SIGNATURE_V1), app.signing_keys):
            return f"its {headers.SIGNATURE_V1} is missing or wrong: app and engine must hold the same signing key"
        return None

    def _refusal(self, app: App, response: Response) -> str | None:
        """What a signed 409 says the app refused: "late" or "repeated"."""
        if self._unsigned(app, response) is not None:
            return None
        try:
            refused = orjson.loads(response.body)["refused"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return str(refused)[:40]


def _retry_after(value: str | None) -> timedelta | None:
    """Delay in seconds (RFC 9110, 10.2.3); the date form is not used between programs and is ignored."""
    return timedelta(seconds=int(value)) if value and value.isascii() and value.isdigit() and len(value) < 7 else None


def _excerpt(body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text) or "(no body)"
