"""Calls to one app that leave together, in one request.

Only what is ready in the same turn of the event loop shares a request: a group commit lets many runs go on at once, and a call
that is ready alone leaves alone, without delay. Every call is still answered by itself, as soon as its handler has ended.

What calls give up for company is that closing the connection stops one handler: it stops all of the request's. So only those
share that are over soon: a call whose like, the same step of the same definition, was last answered within `_SOON`. A call that
is cancelled leaves its request, and the last one to leave closes it.

An app that does not take a request with several calls is sent each of them alone, and so is all else for a minute; it is the
same when a connection was lost, so that a run whose call brings its app down seldom takes others with it.
"""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from stepwell_protocol import headers
from stepwell_protocol.client import Deadline, HttpClient, Response
from stepwell_protocol.http_errors import HttpError, NotSent, RequestRefused, ResponseInvalid, ResponseTimeout
from stepwell_protocol.sharing import OneAnswer, PartReader, encode_calls
from stepwell_protocol.signing import SignatureRefused, sign_v2
from stepwell_protocol.wire import InvalidMessage

from ..clock import Clock
from ..model import App
from .outcomes import AttemptUsed, Unreached, timed_out, try_later

#: Enough to make the cost of a request small beside that of its calls; more would only bind more calls to one process of the app.
_MOST_TOGETHER = 64
_LARGEST_CALL = 64 * 1024

_SOON = 0.25
_APART = 60.0
_MOST_PACES = 100_000

#: Statuses with which an app, or what is in front of it, refuses a request that it has not looked into.
_NOT_TAKEN = frozenset({400, 401, 403, 404, 405, 411, 413, 415, 422})

#: What came of a call that was sent with others; None: it was not sent.
Fate = OneAnswer | AttemptUsed | Unreached | None


@dataclass(slots=True, eq=False)
class _Seat:
    body: bytes
    send_by: float
    fate: "asyncio.Future[Fate]"
    ride: "_Ride | None" = None


class Sharing:
    """`max_answer` bounds what is read of one call's answer."""

    def __init__(self, client: HttpClient, *, clock: Clock, max_answer: int) -> None:
        self._client = client
        self._clock = clock
        self._max_answer = max_answer
        self._soon: dict[Hashable, bool] = {}
        self._apart: dict[str, float] = {}
        self._gathering: dict[tuple[str, int, float], list[_Seat]] = {}
        self._rides: set[asyncio.Task[None]] = set()

    def note(self, pace: Hashable, *, seconds: float) -> None:
        """How long a call took to be answered. `pace` says which calls take alike."""
        if len(self._soon) > _MOST_PACES:
            self._soon.clear()
        self._soon[pace] = seconds <= _SOON

    def welcomes(self, app: App, body: bytes, *, pace: Hashable) -> bool:
        return (
            app.shared_calls
            and len(body) <= _LARGEST_CALL
            and self._soon.get(pace, False)
            and self._apart.get(app.id, 0.0) <= self._clock.monotonic()
        )

    async def call(self, app: App, body: bytes, *, timeout: float, send_by: float) -> Fate:
        """The call's answer, whose signature was checked, or what else came of it. None: it was not sent; send it alone."""
        loop = asyncio.get_running_loop()
        seat = _Seat(body, send_by, loop.create_future())
        key = (app.id, app.generation, timeout)
        gathering = self._gathering.get(key)
        if gathering is None:
            gathering = self._gathering[key] = []
            loop.call_soon(self._depart, app, key)
        gathering.append(seat)
        try:
            return await seat.fate
        except asyncio.CancelledError:
            if seat.ride is not None:
                seat.ride.leave()
            raise

    def _depart(self, app: App, key: tuple[str, int, float]) -> None:
        seats = [seat for seat in self._gathering.pop(key) if not seat.fate.done()]
        requests = -(-len(seats) // _MOST_TOGETHER)
        for first in range(requests):
            together = seats[first::requests]
            if len(together) == 1:
                together[0].fate.set_result(None)
                continue
            ride = _Ride(app, together, clock=self._clock)
            ride.task = asyncio.get_running_loop().create_task(self._send(app, ride, timeout=key[2]))
            self._rides.add(ride.task)
            ride.task.add_done_callback(self._rides.discard)

    async def _send(self, app: App, ride: "_Ride", *, timeout: float) -> None:
        body = encode_calls([seat.body for seat in ride.seats])
        assert app.url is not None
        try:
            response = await self._client.request(
                "POST",
                app.url,
                headers={
                    headers.CONTENT_TYPE: headers.JSON,
                    headers.APP: app.id,
                    headers.PROTOCOL: "2",
                    headers.SIGNATURE: sign_v2(body, app.signing_keys, now=self._clock.time()),
                },
                body=body,
                timeout=Deadline(timeout),
                send_by=min(seat.send_by for seat in ride.seats),
                max_response=self._max_answer * len(ride.seats),
                sink=ride.take,
            )
        except ResponseTimeout:
            ride.end(timed_out(timeout))
        except (NotSent, RequestRefused) as error:
            ride.end(Unreached(f"{app.url}: {error}", may_have_started=False))
        except HttpError as error:
            self._part(app)
            ride.end(Unreached(f"{app.url}: {error}"))
        else:
            if ride.open:
                ride.end(self._fate_of_all(app, response))
        finally:
            ride.end(Unreached(f"{app.url}: the request was given up"))

    def _fate_of_all(self, app: App, response: Response) -> Fate:
        """Of those that the answer says nothing about."""
        if (unreached := try_later(str(app.url), response.status, response)) is not None:
            return unreached
        self._part(app)
        if response.status in _NOT_TAKEN:
            return None
        if response.status == 200:
            return Unreached(f"{app.url}: the answer ended without this call's part")
        return Unreached(f"{app.url}: HTTP {response.status} to a request with several calls")

    def _part(self, app: App) -> None:
        self._apart[app.id] = self._clock.monotonic() + _APART


class _Ride:
    """One request under way."""

    def __init__(self, app: App, seats: list[_Seat], *, clock: Clock) -> None:
        self.seats = seats
        self.open = dict(enumerate(seats))
        self.task: asyncio.Task[None] | None = None
        self._reader = PartReader(app.signing_keys)
        self._clock = clock
        for seat in seats:
            seat.ride = self

    def take(self, data: bytes) -> None:
        """What has come of the answer. Raises ResponseInvalid."""
        try:
            answers = self._reader.feed(data, now=self._clock.time())
        except (InvalidMessage, SignatureRefused) as error:
            raise ResponseInvalid(f"the answer to several calls is unreadable: {error}") from None
        for answer in answers:
            seat = self.open.pop(answer.place, None)
            if seat is not None and not seat.fate.done():
                seat.fate.set_result(answer)

    def leave(self) -> None:
        """One of those who wait has been cancelled. With nobody left the connection is closed."""
        if all(each.fate.done() for each in self.open.values()) and self.task is not None:
            self.task.cancel()

    def end(self, fate: Fate) -> None:
        """The same for all that have none yet."""
        for seat in self.open.values():
            if not seat.fate.done():
                seat.fate.set_result(fate)
        self.open.clear()
