"""The work queue: each key once at a time, again when it changed meanwhile, later when it failed."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from stepwell_engine.errors import Unavailable
from stepwell_operator import queue as module
from stepwell_operator.objects import Key
from stepwell_operator.queue import Queue
from stepwell_operator.world import StatusConflict

A, B = Key("Function", "ns", "a"), Key("Function", "ns", "b")


@asynccontextmanager
async def running(work: Callable[[Key], Awaitable[float | None]], *, workers: int = 4) -> AsyncIterator[Queue]:
    queue = Queue(work, workers=workers, rng=random.Random(1))
    queue.start()
    try:
        yield queue
    finally:
        await queue.stop()


async def test_a_key_added_twice_while_it_waits_is_handled_once() -> None:
    seen: list[Key] = []
    done = asyncio.Event()

    async def work(key: Key) -> None:
        seen.append(key)
        if key == B:
            done.set()

    async with running(work, workers=1) as queue:
        queue.add([A, A, B, A])
        await done.wait()
    assert seen == [A, B]


async def test_a_key_is_never_handled_twice_at_once_and_again_after_a_change() -> None:
    active, most, count = 0, 0, 0
    entered, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(key: Key) -> None:
        nonlocal active, most, count
        active, count = active + 1, count + 1
        most = max(most, active)
        entered.set()
        await go.wait()
        active -= 1
        if count == 2:
            done.set()

    async with running(work) as queue:
        queue.add([A])
        await entered.wait()
        queue.add([A])
        go.set()
        await done.wait()
    assert (most, count) == (1, 2)


@pytest.mark.parametrize("error", [Unavailable("away"), StatusConflict("changed"), RuntimeError("a defect")])
async def test_a_failure_is_tried_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)
    attempts = 0
    done = asyncio.Event()

    async def work(key: Key) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise error
        done.set()

    async with running(work) as queue:
        queue.add([A])
        await done.wait()
    assert attempts == 3


async def test_a_key_comes_back_after_the_time_it_asked_for() -> None:
    attempts = 0
    done = asyncio.Event()

    async def work(key: Key) -> float | None:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            done.set()
        return 0.01 if attempts == 1 else None

    async with running(work) as queue:
        queue.add([A])
        await done.wait()
    assert attempts == 2


async def test_a_change_comes_before_the_time_a_key_asked_for() -> None:
    attempts = 0
    first, second = asyncio.Event(), asyncio.Event()

    async def work(key: Key) -> float:
        nonlocal attempts
        attempts += 1
        (first if attempts == 1 else second).set()
        return 3600.0

    async with running(work) as queue:
        queue.add([A])
        await first.wait()
        queue.add([A])
        await second.wait()
    assert attempts == 2


async def test_stopping_twice_is_harmless() -> None:
    async def work(key: Key) -> None:
        pass

    async with running(work) as queue:
        await queue.stop()
