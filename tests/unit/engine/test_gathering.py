"""Group commit: everybody is answered after the commit of their batch, whenever they come."""

import asyncio

import pytest

from stepwell_engine.services.gathering import Gathering

Batch = list[tuple[int, "asyncio.Future[int]"]]


def gathering(*, flushers: int, commits: list[list[int]] | None = None) -> Gathering[int, int]:
    async def commit(batch: Batch) -> None:
        if commits is not None:
            commits.append([item for item, _ in batch])
        await asyncio.sleep(0)
        for item, answer in batch:
            answer.set_result(item)

    return Gathering(commit, most=10, flushers=flushers, name="test")


@pytest.mark.parametrize("flushers", [1, 2])
async def test_what_is_submitted_while_the_last_flusher_ends_is_committed_too(flushers: int) -> None:
    under_test = gathering(flushers=flushers)

    async def sender(first: int) -> None:
        for number in range(first, first + 50):
            assert await under_test.submit(number) == number

    async with asyncio.timeout(10):
        await asyncio.gather(*[sender(100 * each) for each in range(4)])


async def test_what_arrives_during_a_commit_goes_into_the_next_one_together() -> None:
    commits: list[list[int]] = []
    under_test = gathering(flushers=1, commits=commits)
    first = under_test.submit(0)
    while not commits:  # noqa: ASYNC110 - the commit of the test itself tells
        await asyncio.sleep(0)
    others = [under_test.submit(number) for number in range(1, 5)]
    assert await asyncio.gather(first, *others) == [0, 1, 2, 3, 4]
    assert commits == [[0], [1, 2, 3, 4]]


async def test_a_commit_that_fails_fails_for_its_batch_only() -> None:
    async def commit(batch: Batch) -> None:
        if batch[0][0] == 0:
            raise RuntimeError("no")
        for item, answer in batch:
            answer.set_result(item)

    under_test: Gathering[int, int] = Gathering(commit, most=1, flushers=1, name="test")
    refused, taken = under_test.submit(0), under_test.submit(1)
    with pytest.raises(RuntimeError):
        await refused
    assert await taken == 1
    await under_test.drain()
