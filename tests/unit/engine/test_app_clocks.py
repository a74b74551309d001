"""Apps whose clocks are wrong are not called until they are right."""

from collections.abc import Iterator
from typing import Any

import pytest

from stepwell_engine.model import App
from stepwell_engine.transport.app_clocks import AppClocks, complaint, skew

NOW = 1_783_242_000.0


@pytest.mark.parametrize(
    ("said", "off"),
    [(NOW, 0), (NOW + 30, 0), (NOW + 33, 3), (NOW - 0.5, -0.5), (NOW - 400, -400)],
    ids=["at sending", "at arrival", "after arrival", "a little before sending", "long before sending"],
)
def test_only_what_can_not_be_explained_by_the_way_is_skew(said: float, off: float) -> None:
    assert skew(said, sent=NOW, received=NOW + 30) == off


def test_a_complaint_says_how_much_in_which_direction_and_what_to_do() -> None:
    assert complaint(-7.25) == "the app's clock is 7.2 s behind the database's: keep both machines' clocks right (NTP)"
    assert "3.0 s ahead of the database's" in complaint(3.0)


class Time:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return NOW + self.now


class Asked:
    """An app that says these times, by how much they are off, one after the other."""

    def __init__(self, clock: Time, *off: float | None) -> None:
        self._clock = clock
        self._off: Iterator[float | None] = iter(off)
        self.times = 0

    async def __call__(self, app: App) -> float | None:
        self.times += 1
        off = next(self._off)
        return None if off is None else self._clock.time() + off


class Shop:
    id = "shop"
    url = "http://shop"


def clocks(*off: float | None) -> tuple[Time, Asked, AppClocks, Any]:
    clock = Time()
    asked = Asked(clock, *off)
    return clock, asked, AppClocks(asked, clock=clock), Shop()


def note(under_test: AppClocks, app: Any, clock: Time, *, off: float) -> None:
    under_test.note(app, clock.time() + off, sent=clock.time(), received=clock.time())


@pytest.mark.parametrize("off", [-2.0, 0.0, 2.0])
async def test_an_app_within_the_margin_is_called_and_not_asked(off: float) -> None:
    clock, asked, under_test, app = clocks()
    note(under_test, app, clock, off=off)
    assert await under_test.stopped(app, database_time=clock.time) is None
    assert asked.times == 0


async def test_an_app_beyond_it_is_asked_every_ten_seconds_and_called_again_when_it_is_right() -> None:
    clock, asked, under_test, app = clocks(-8.0, 0.5)
    note(under_test, app, clock, off=-9.0)
    stopped = await under_test.stopped(app, database_time=clock.time)
    assert stopped is not None
    assert (stopped.reason, stopped.may_have_started) == ("ClockSkewed", False)
    assert "9.0 s behind" in stopped.message
    assert asked.times == 0
    clock.now = 10.0
    stopped = await under_test.stopped(app, database_time=clock.time)
    assert stopped is not None
    assert "8.0 s behind" in stopped.message
    assert asked.times == 1
    clock.now = 19.9
    assert await under_test.stopped(app, database_time=clock.time) is not None
    assert asked.times == 1
    clock.now = 20.0
    assert await under_test.stopped(app, database_time=clock.time) is None
    clock.now = 60.0
    assert await under_test.stopped(app, database_time=clock.time) is None
    assert asked.times == 2


async def test_an_app_that_refuses_a_call_as_late_is_asked_before_the_next_one() -> None:
    clock, asked, under_test, app = clocks(60.0)
    under_test.suspect(app)
    stopped = await under_test.stopped(app, database_time=clock.time)
    assert stopped is not None
    assert "60.0 s ahead" in stopped.message
    assert asked.times == 1


async def test_a_call_that_really_was_late_stops_nothing() -> None:
    clock, asked, under_test, app = clocks(0.0)
    under_test.suspect(app)
    assert await under_test.stopped(app, database_time=clock.time) is None
    assert await under_test.stopped(app, database_time=clock.time) is None
    assert asked.times == 1


async def test_an_app_that_can_not_be_asked_is_called() -> None:
    clock, _, under_test, app = clocks(None)
    note(under_test, app, clock, off=9.0)
    clock.now = 10.0
    assert await under_test.stopped(app, database_time=clock.time) is None
