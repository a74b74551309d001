"""The sweep's rhythm, and how it notices a watch that tells nothing."""

import asyncio
from collections.abc import Iterator
from typing import cast

from stepwell_operator.sweep import Sweep, Swept
from stepwell_operator.sweeper import DEAF_PASSES, Sweeper
from stepwell_operator.world import WorldUnavailable


class Passes:
    """Stands for a sweep: what each pass finds."""

    def __init__(self, found: Iterator[int | Exception]) -> None:
        self._found = found
        self.count = 0
        self.changed = asyncio.Event()

    async def run(self) -> Swept:
        self.count += 1
        self.changed.set()
        result = next(self._found, 0)
        if isinstance(result, Exception):
            raise result
        return Swept(missed=result, retired=())

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.count < count:
                self.changed.clear()
                await self.changed.wait()


async def sweeping(passes: Passes, *, until: int, every: float = 0.001) -> Sweeper:
    sweeper = Sweeper(cast(Sweep, passes), every=every)
    task = asyncio.create_task(sweeper.run())
    await passes.reach(until)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return sweeper


async def test_pass_after_pass_with_missed_changes_means_that_the_watch_is_deaf() -> None:
    sweeper = await sweeping(Passes(iter([5, *[1] * DEAF_PASSES, 1])), until=DEAF_PASSES + 2)
    assert sweeper.deaf


async def test_the_first_pass_misses_nothing_by_definition() -> None:
    assert not (await sweeping(Passes(iter([100, 0])), until=3)).deaf


async def test_one_pass_without_a_missed_change_clears_the_suspicion() -> None:
    assert not (await sweeping(Passes(iter([0, 1, 1, 0, 1, 0])), until=7)).deaf


async def test_a_deletion_brings_the_next_pass_forward() -> None:
    passes = Passes(iter([]))
    sweeper = Sweeper(cast(Sweep, passes), every=3600)
    task = asyncio.create_task(sweeper.run())
    await passes.reach(1)
    sweeper.soon()
    await passes.reach(2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_pass_that_fails_is_no_pass() -> None:
    passes = Passes(iter([WorldUnavailable("away"), 0]))
    sweeper = Sweeper(cast(Sweep, passes), every=3600)
    task = asyncio.create_task(sweeper.run())
    await passes.reach(1)
    sweeper.soon()
    await passes.reach(2)
    assert not sweeper.deaf
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
