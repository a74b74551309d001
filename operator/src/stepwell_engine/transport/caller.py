"""One call to an app, and its outcome.

What an answer may hold is checked by stepwell_protocol; what it may mean, by `driving.answers`.
"""

from collections.abc import Callable, Hashable

import orjson

from stepwell_protocol import headers
from stepwell_protocol.client import Deadline, HttpClient, Response
from stepwell_protocol.http_errors import HttpError, NotSent, RequestRefused, ResponseTimeout, ResponseTooLarge
from stepwell_protocol.sharing import OneAnswer
from stepwell_protocol.signing import SignatureRefused, sign_v1, sign_v2, verify_v1, verify_v2
from stepwell_protocol.strict_json import Codec, StrictJsonError
from stepwell_protocol.wire import ErrorData, InvalidMessage, decode_answer_v1, decode_answer_v2

from ..clock import Clock
from ..model import App
from .app_clocks import AppClocks
from .outcomes import Answered, AttemptUsed, Illegal, Outcome, Unreached, timed_out, try_later
from .sharing import Fate, Sharing

__all__ = ["CODEC", "Caller", "Deadline"]

#: What orjson reads and writes back unchanged needs no slower look.
CODEC = Codec(loads=orjson.loads, dumps=orjson.dumps)

_REFUSED = 409

_ASKING = 5.0
_LONGEST_DESCRIPTION = 4 * 1024 * 1024


class Caller:
    """Calls apps. One for a process: it owns the pool of connections. `max_answer` bounds what is read of an answer."""

    def __init__(self, *, clock: Clock, max_connections: int = 1024, max_answer: int = 72 * 1024 * 1024) -> None:
        self._clock = clock
        self.client = HttpClient(max_connections=max_connections)
        self._max_answer = max_answer
        self._clocks = AppClocks(self._ask_time, clock=clock)
        self._sharing = Sharing(self.client, clock=clock, max_answer=max_answer)

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
        database_time: Callable[[], float],
        company: bool = False,
        pace: Hashable = None,
    ) -> Outcome:
        """Send one call, unless it is past `send_by` (a monotonic time), and wait for its answer until the deadline, which each
        checkpoint of its handler moves on. Cancelling closes the connection.

        `database_time`: the database's time at this moment, in unix seconds, as the worker knows it. `company`: other
        calls may be ready in this turn of the event loop. `pace`: which calls take about as long as this one; without it, the call
        shares no request with others."""
        if app.url is None:
            return Unreached(
                "the app has no callback address yet: it has not synced, or its StepwellApp names none",
                may_have_started=False,
            )
        if (stopped := await self._clocks.stopped(app, database_time=database_time)) is not None:
            return stopped
        began = self._clock.monotonic()
        came: Fate = None
        if company and pace is not None and self._sharing.welcomes(app, body, pace=pace):
            came = await self._sharing.call(app, body, timeout=deadline.seconds, send_by=send_by)
        if came is None:
            came = await self._alone(app, body, deadline=deadline, send_by=send_by)
        if not isinstance(came, OneAnswer):
            return came
        outcome = self._read(app, came, token=token, seq=seq())
        if isinstance(outcome, Answered):
            took = self._clock.monotonic() - began
            if pace is not None:
                self._sharing.note(pace, seconds=took)
            if outcome.said_at:
                received = database_time()
                self._clocks.note(app, outcome.said_at, sent=received - took, received=received)
        return outcome

    async def _alone(
        self, app: App, body: bytes, *, deadline: Deadline, send_by: float
    ) -> OneAnswer | AttemptUsed | Unreached:
        """The answer to a call in a request of its own, whose signature was checked, or what else came of it."""
        assert app.url is not None
        try:
            response = await self.client.request(
                "POST",
                app.url,
                headers=self._signed(app, body),
                body=body,
                timeout=deadline,
                send_by=send_by,
                max_response=self._max_answer,
            )
        except ResponseTimeout:
            return timed_out(deadline.seconds)
        except (NotSent, RequestRefused) as error:
            return Unreached(f"{app.url}: {error}", may_have_started=False)
        except ResponseTooLarge as error:
            return AttemptUsed(ErrorData(name="UnreadableAnswer", message=f"{app.url}: {error}"))
        except HttpError as error:
            return Unreached(f"{app.url}: {error}")
        status = response.status
        if (unreached := try_later(app.url, status, response)) is not None:
            return unreached
        if (200 <= status < 300 or status == _REFUSED) and (reason := self._unsigned(app, response)) is not None:
            if status == _REFUSED:
                return _http_error(status, response.body)
            message = f"the app answered HTTP {status}, but {reason}"
            return AttemptUsed(ErrorData(name="UnsignedAnswer", message=message))
        return OneAnswer(0, status, response.body)

    async def _ask_time(self, app: App) -> float | None:
        """What the app says the time is, in unix seconds. None when it says nothing that can be believed."""
        try:
            response = await self.client.request(
                "GET", str(app.url), headers=self._signed(app, b""), timeout=_ASKING, max_response=_LONGEST_DESCRIPTION
            )
        except HttpError:
            return None
        if response.status != 200 or self._unsigned(app, response) is not None:
            return None
        try:
            return float(orjson.loads(response.body)["time"]) / 1000
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return None

    def _signed(self, app: App, body: bytes) -> dict[str, str]:
        """The headers of a call: both signatures, unless the app wants the timed one only."""
        signed = {headers.CONTENT_TYPE: headers.JSON, headers.APP: app.id}
        if app.protocol >= 2:
            signed[headers.PROTOCOL] = "2"
            signed[headers.SIGNATURE] = sign_v2(body, app.signing_keys, now=self._clock.time())
        if not app.timed_signature_only:
            signed[headers.SIGNATURE_V1] = sign_v1(body, app.signing_keys[0])
        return signed

    def _read(self, app: App, came: OneAnswer, *, token: int, seq: int) -> Outcome:
        """What a well signed answer comes to."""
        _, status, body = came
        if (unreached := try_later(str(app.url), status)) is not None:
            return unreached
        if status == _REFUSED and (refused := _refusal(body)) is not None:
            if refused == "late":
                self._clocks.suspect(app)
            return Unreached(f"{app.url}: the app refused the call as {refused}")
        if not 200 <= status < 300:
            return _http_error(status, body)
        try:
            if app.protocol < 2:
                return Answered((decode_answer_v1(body, codec=CODEC),))
            answer = decode_answer_v2(body, codec=CODEC)
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
        return Answered(answer.ops, said_at=answer.time / 1000)

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


def _refusal(body: bytes) -> str | None:
    """What a signed 409 says the app refused: "late" or "repeated"."""
    try:
        refused = orjson.loads(body)["refused"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return str(refused)[:40]


def _http_error(status: int, body: bytes) -> AttemptUsed:
    return AttemptUsed(ErrorData(name="HttpError", message=f"the app answered HTTP {status}: {_excerpt(body)}"))


def _excerpt(body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text) or "(no body)"
