"""R12: whoever follows a stream with Last-Event-ID sees every change once, in commit order per run.

The writers here keep several transactions open at once, take their transaction ids early and commit late, in an order drawn
from a seed: what makes a cursor over ids skip. The readers hang up at random and come back with their last id.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from .conftest import Dashboard
from .sse_reader import Message, reading
from .stage import Stage, StagedRun

SEEDS = range(4)
PATIENCE = 30.0


class Writers:
    """Some connections, each perhaps in the middle of a transaction. A run is touched by one open transaction at a time, as
    by its row lock."""

    def __init__(self, url: str, *, runs: list[StagedRun], rng: random.Random, connections: int = 5) -> None:
        self._connections = [psycopg.connect(url) for _ in range(connections)]
        self._open: dict[int, set[int]] = {number: set() for number in range(connections)}
        self._runs = runs
        self._rng = rng
        self.versions = [0] * len(runs)

    def act(self) -> None:
        """One move of one connection: commit, or take part in its transaction in touching one more run."""
        number = self._rng.randrange(len(self._connections))
        connection = self._connections[number]
        busy = set().union(*self._open.values())
        free = [at for at in range(len(self._runs)) if at not in busy or at in self._open[number]]
        if not free or (self._open[number] and self._rng.random() < 0.35):
            connection.commit()
            self._open[number].clear()
            return
        at = self._rng.choice(free)
        connection.execute("select pg_current_xact_id()")
        self.touch(connection, at)
        self._open[number].add(at)

    def touch(self, connection: psycopg.Connection[Any], at: int) -> None:
        self.versions[at] += 1
        version, run_id = self.versions[at], self._runs[at].id
        connection.execute("select from stepwell.run where id = %s for update", [run_id])
        connection.execute(
            "insert into stepwell.journal (run_id, ordinal, entry, step, type, data) "
            "values (%s, %s, 'step_completed', %s, 'run', %s)",
            [run_id, version, f"step-{version}", str(version).encode()],
        )
        connection.execute(
            "update stepwell.run set steps = %s, changed = pg_current_xact_id() where id = %s", [version, run_id]
        )

    def settle(self) -> None:
        """Commit what is open, in an order of chance."""
        for number in self._rng.sample(range(len(self._connections)), len(self._connections)):
            self._connections[number].commit()
            self._open[number].clear()

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


MakeWriters = Callable[[list[StagedRun], random.Random], Writers]


@pytest.fixture
def writers_of(database_url: str) -> Iterator[MakeWriters]:
    made: list[Writers] = []

    def make(runs: list[StagedRun], rng: random.Random) -> Writers:
        made.append(Writers(database_url, runs=runs, rng=rng))
        return made[-1]

    yield make
    for writers in made:
        writers.close()


async def follow(
    client: httpx.AsyncClient, path: str, *, start: str, rng: random.Random, seen: list[Message], enough: asyncio.Event
) -> None:
    """Read, hang up after a random number of messages, come back with the last id; until `enough` is set."""
    last = start
    while not enough.is_set():
        async with reading(client, path, last_id=last) as messages:
            for _ in range(rng.randint(1, 6)):
                message = await next_or_enough(messages, enough)
                if message is None:
                    return
                seen.append(message)
                last = message.id or last


async def next_or_enough(messages: AsyncIterator[Message], enough: asyncio.Event) -> Message | None:
    ended = asyncio.ensure_future(enough.wait())
    coming = asyncio.ensure_future(anext(messages))
    await asyncio.wait({ended, coming}, return_when=asyncio.FIRST_COMPLETED)
    for task in (ended, coming):
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    return coming.result() if not coming.cancelled() else None


async def until(condition: Any, what: str) -> None:
    """Wait for `condition()` while readers go on. Fails with `what` when it does not come true in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - many readers and tables, no one event
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"{what} did not happen within {PATIENCE:g} s")


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_list_stream_tells_every_run_s_last_change_and_never_goes_back(
    dashboard: Dashboard, client: httpx.AsyncClient, stage: Stage, writers_of: MakeWriters, seed: int
) -> None:
    rng = random.Random(seed)
    shop, tail = stage.app("shop"), dashboard.app.state.context.tail
    tail.fastest = tail.slowest = 0.01
    runs = [stage.run(shop, "order") for _ in range(4)]
    start = (await client.get("/api/v1/runs")).json()["cursor"]
    writers = writers_of(runs, rng)
    parts: list[list[Message]] = [[], []]
    enough = asyncio.Event()
    readers = [
        asyncio.create_task(
            follow(client, "/api/v1/stream", start=start, rng=random.Random(f"{seed}/{n}"), seen=part, enough=enough)
        )
        for n, part in enumerate(parts)
    ]
    for _ in range(12):
        for _ in range(15):
            await asyncio.to_thread(writers.act)
            if rng.random() < 0.4:
                looks = tail.polls
                await until(lambda looks=looks: tail.polls > looks, "a look in the middle of transactions")
        await asyncio.to_thread(writers.settle)
        last = {str(run.id): version for run, version in zip(runs, writers.versions, strict=True) if version}
        await until(lambda last=last: all(latest(part) == last for part in parts), f"seeing the last versions {last}")
    enough.set()
    await asyncio.gather(*readers)
    for part in parts:
        cursors = [cursor(message.id) for message in part]
        assert cursors == sorted(set(cursors))
        for told in versions(part).values():
            assert told == sorted(set(told))


def latest(seen: list[Message]) -> dict[str, int]:
    return {run_id: told[-1] for run_id, told in versions(seen).items()}


def versions(seen: list[Message]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for message in seen:
        for run in message.data["runs"]:
            found[run["id"]].append(run["steps"])
    return found


def cursor(text: str | None) -> tuple[int, str]:
    changed, _, identity = (text or "").partition("-")
    return int(changed), identity


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_run_s_stream_tells_every_entry_once_and_in_order(
    dashboard: Dashboard, client: httpx.AsyncClient, stage: Stage, writers_of: MakeWriters, seed: int
) -> None:
    rng = random.Random(seed)
    shop = stage.app("shop")
    runs = [stage.run(shop, "order") for _ in range(3)]
    writers = writers_of(runs, rng)
    parts: list[list[Message]] = [[] for _ in runs]
    enough = asyncio.Event()
    readers = [
        asyncio.create_task(
            follow(
                client,
                f"/api/v1/runs/{run.id}/stream",
                start="0",
                rng=random.Random(f"{seed}/{n}"),
                seen=part,
                enough=enough,
            )
        )
        for n, (run, part) in enumerate(zip(runs, parts, strict=True))
    ]
    for _ in range(150):
        await asyncio.to_thread(writers.act)
    await asyncio.to_thread(writers.settle)
    writers.close()
    whole = [list(range(1, version + 1)) for version in writers.versions]
    await until(
        lambda: all(len(ordinals(part)) >= len(all_of) for part, all_of in zip(parts, whole, strict=True)), "seeing all"
    )
    enough.set()
    await asyncio.gather(*readers)
    for part, all_of in zip(parts, whole, strict=True):
        assert ordinals(part) == all_of
        entries = [entry for message in part for entry in message.data["entries"]]
        assert [entry["data"]["text"] for entry in entries] == [str(number) for number in all_of]


def ordinals(seen: list[Message]) -> list[int]:
    return [entry["ordinal"] for message in seen for entry in message.data["entries"]]


async def test_a_change_that_commits_late_is_not_overtaken(
    dashboard: Dashboard, client: httpx.AsyncClient, stage: Stage, database_url: str
) -> None:
    shop, tail = stage.app("shop"), dashboard.app.state.context.tail
    early, late = (stage.run(shop, "order") for _ in range(2))
    start = (await client.get("/api/v1/runs")).json()["cursor"]
    told: list[str] = []
    with psycopg.connect(database_url) as slow:
        slow.execute("update stepwell.run set steps = 1, changed = pg_current_xact_id() where id = %s", [early.id])
        late.to("active", activity="executing")
        async with asyncio.timeout(PATIENCE), reading(client, "/api/v1/stream", last_id=start) as messages:
            await until(lambda: tail.polls >= 2, "a look while the transaction is open")
            slow.commit()
            async for message in messages:
                told += [run["id"] for run in message.data["runs"]]
                if len(told) >= 2:
                    break
    assert told == [str(early.id), str(late.id)]


async def test_a_filtered_stream_says_which_runs_no_longer_match(client: httpx.AsyncClient, stage: Stage) -> None:
    run = stage.run(stage.app("shop"), "order", activity="waiting")
    page = (await client.get("/api/v1/runs", params={"activity": "waiting"})).json()
    run.to("completed", output=1)
    async with (
        asyncio.timeout(PATIENCE),
        reading(client, "/api/v1/stream?activity=waiting", last_id=page["cursor"]) as messages,
    ):
        message = await anext(messages)
    assert (message.data["runs"], message.data["left"]) == ([], [str(run.id)])


async def test_a_long_journal_comes_in_parts_without_waiting_for_news(client: httpx.AsyncClient, stage: Stage) -> None:
    run = stage.run(stage.app("shop"), "order")
    with stage.connection.transaction():
        for number in range(650):
            run.entry("step_completed", step=f"s{number}", type="run", data=number)
    seen: list[Message] = []
    async with asyncio.timeout(PATIENCE), reading(client, f"/api/v1/runs/{run.id}/stream?after=0") as messages:
        async for message in messages:
            seen.append(message)
            if not message.data["more"]:
                break
    assert ordinals(seen) == list(range(1, 651))
    assert len(seen) == 4


async def test_a_cursor_from_another_database_asks_the_client_to_read_anew(client: httpx.AsyncClient) -> None:
    ahead = f"{2**62}-01900000-0000-7000-8000-000000000000"
    async with asyncio.timeout(PATIENCE), reading(client, "/api/v1/stream", last_id=ahead) as messages:
        assert (await anext(messages)).event == "resync"


async def test_a_client_that_hangs_up_leaves_nothing_behind(
    dashboard: Dashboard, client: httpx.AsyncClient, stage: Stage
) -> None:
    run = stage.run(stage.app("shop"), "order")
    tail = dashboard.app.state.context.tail
    async with reading(client, f"/api/v1/runs/{run.id}/stream") as messages:
        await anext(messages)
        assert tail.watchers == 1
    await until(lambda: tail.watchers == 0 and tail.idle, "the end of the watcher and its poller")


async def test_any_number_of_idle_streams_cost_two_queries_a_second(
    dashboard: Dashboard, client: httpx.AsyncClient, stage: Stage, database_url: str
) -> None:
    shop = stage.app("shop")
    runs = [stage.run(shop, "order") for _ in range(3)]
    tail = dashboard.app.state.context.tail
    async with (
        reading(client, f"/api/v1/runs/{runs[0].id}/stream") as first,
        reading(client, f"/api/v1/runs/{runs[1].id}/stream") as second,
        reading(client, "/api/v1/stream") as _,
    ):
        await anext(first)
        await anext(second)
        await until(lambda: tail.interval >= 0.5, "the slowest pace")
        before, began = tail.polls, asyncio.get_running_loop().time()
        await until(lambda: tail.polls >= before + 4, "four polls")
        assert asyncio.get_running_loop().time() - began >= 1.5


async def test_streams_end_when_the_server_stops(dashboard: Dashboard, client: httpx.AsyncClient, stage: Stage) -> None:
    run = stage.run(stage.app("shop"), "order")
    async with asyncio.timeout(PATIENCE), reading(client, f"/api/v1/runs/{run.id}/stream") as messages:
        await anext(messages)
        dashboard.app.state.context.tail.stop()
        async for _ in messages:
            pass
    assert (await client.get(f"/api/v1/runs/{run.id}")).status_code == 200
