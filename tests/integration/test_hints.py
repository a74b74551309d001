"""Hints that there may be work reach whoever listens."""

import asyncio
from contextlib import aclosing

from integration.world import World


async def test_every_hint_is_heard_also_of_several_that_come_at_once(world: World) -> None:
    async with asyncio.timeout(10), aclosing(world.journal.hints.listen(interval=5)) as heard:
        assert await anext(heard) is None, "listening has begun"
        await world.journal.hints.send(["work", "rest"])
        assert [await anext(heard) for _ in range(2)] == ["work", "rest"]


async def test_silence_is_told_too(world: World) -> None:
    async with asyncio.timeout(10), aclosing(world.journal.hints.listen(interval=0.01)) as heard:
        assert [await anext(heard) for _ in range(3)] == [None, None, None]
