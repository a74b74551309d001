"""Apps whose clocks can't be trusted with the times of a call.

startBy and endBy are times of the database. An app that is behind would start what is too late by then, one that is ahead refuses
everything as late. So an app that is off by more than the margin is called no more until its clock is right: every `_AGAIN` seconds
it is asked for the time, by the signed GET that also says what it serves. What it has answered by then counts; the fence has
judged it.

An app that says no time at all (version 1 of the wire, another SDK) is trusted.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from ..clock import Clock
from ..model import MARGIN, App
from .outcomes import Unreached

_AGAIN = 10.0

_log = logging.getLogger("stepwell.app_clocks")


def skew(said: float, *, sent: float, received: float) -> float:
    """Seconds by which an app is surely ahead (or behind, negative) when it says `said` between these times of the database;
    0 when it may be right. All in unix seconds."""
    if said > received:
        return said - received
    return min(said - sent, 0.0)


def is_off(seconds: float) -> bool:
    """Further than the margin of a lease allows for."""
    return abs(seconds) > MARGIN.total_seconds()


@dataclass(slots=True)
class _Doubt:
    seconds: float
    ask_at: float


class AppClocks:
    """`ask` gives the time that an app says, in unix seconds, and None when it can't be asked or says none."""

    def __init__(self, ask: Callable[[App], Awaitable[float | None]], *, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._doubts: dict[str, _Doubt] = {}

    def note(self, app: App, said: float, *, sent: float, received: float) -> None:
        """What an answer said."""
        found = skew(said, sent=sent, received=received)
        if is_off(found):
            self._doubt(app, found)

    def suspect(self, app: App) -> None:
        """It has refused a call as late: the call was, or its clock is wrong. It is asked before it is called again."""
        if app.id not in self._doubts:
            self._doubts[app.id] = _Doubt(0.0, self._clock.monotonic())

    async def stopped(self, app: App, *, database_time: Callable[[], float]) -> Unreached | None:
        """Why the app is not called now. None: it may be."""
        doubt = self._doubts.get(app.id)
        if doubt is None:
            return None
        if self._clock.monotonic() >= doubt.ask_at:
            doubt.ask_at = self._clock.monotonic() + _AGAIN  # others need not ask meanwhile
            sent = database_time()
            said = await self._ask(app)
            found = 0.0 if said is None else skew(said, sent=sent, received=database_time())
            if not is_off(found):
                self._doubts.pop(app.id, None)
                if doubt.seconds:
                    _log.info("the clock of app %s is right again", app.id)
                return None
            self._doubt(app, found)
        elif not doubt.seconds:
            return None
        return Unreached(
            f"{app.url}: {complaint(self._doubts[app.id].seconds)}",
            retry_after=timedelta(seconds=_AGAIN),
            may_have_started=False,
            reason="ClockSkewed",
        )

    def _doubt(self, app: App, seconds: float) -> None:
        known = self._doubts.get(app.id)
        if known is None or not known.seconds:
            _log.warning("app %s is not called: %s", app.id, complaint(seconds))
        self._doubts[app.id] = _Doubt(seconds, self._clock.monotonic() + _AGAIN)


def complaint(seconds: float) -> str:
    """What is wrong with a clock that is off by so much, and what to do."""
    side = "ahead of" if seconds > 0 else "behind"
    return f"the app's clock is {abs(seconds):.1f} s {side} the database's: keep both machines' clocks right (NTP)"
