"""A seeded walk through everything that can happen to runs, in any order, beside a small model of it.

After every move the tables are looked at: no run is an orphan (R5), a lease has one holder, what was acknowledged stays as it
was (R1, R2), ended runs leave nothing behind, and the journal accepts exactly the answers that the model says it must.
"""

import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Literal
from uuid import UUID

import pytest

from integration.world import World, exchange, on
from stepwell_engine.errors import Conflict
from stepwell_engine.journal.queue import Lease
from stepwell_engine.model import App

MOVES = 500

#: A run that is neither ended nor paused goes on by itself: it has a job, or something on record that will give it one.
ORPHANS = """
    select run.id from stepwell.run
    where status = 'active' and activity <> 'paused'
      and not exists (select from stepwell.job where run_id = run.id)
      and not exists (select from stepwell.wait where run_id = run.id and resolved_at is null)
"""

#: What a run shows, and what it is.
LIARS = """
    select run.id, activity from stepwell.run left join stepwell.job on run_id = id
    where status = 'active' and case activity
        when 'queued' then owner is not null or run_id is null
        when 'executing' then owner is null
        else run_id is not null and owner is null end
"""

LEFTOVERS = """
    select id from stepwell.run
    where status <> 'active' and (exists (select from stepwell.job where run_id = run.id)
                               or exists (select from stepwell.wait where run_id = run.id))
"""

RESULTS = """
    select run_id, step, entry, coalesce(data, error) as said, token from stepwell.journal
    where entry in ('step_completed', 'step_failed', 'wait_completed')
"""


class Walk:
    """`leases` are all that were ever handed out; `holder` is the token that counts for each run."""

    def __init__(self, world: World, app: App, rng: random.Random) -> None:
        self.world = world
        self.app = app
        self.rng = rng
        self.leases: list[Lease] = []
        self.holder: dict[UUID, int] = {}
        self.last_token = 0
        self.acknowledged: dict[tuple[UUID, str], bytes] = {}
        self._steps = itertools.count(1)
        self._seqs = itertools.count(1)

    async def start(self) -> None:
        await self.world.start(self.app)

    async def claim(self) -> None:
        for lease in await self.world.claim(limit=self.rng.randint(1, 4), rooms={self.app.id: 100}):
            assert not self.holder.get(lease.run_id), "a held run was claimed"
            assert lease.token > self.last_token
            self.last_token = lease.token
            self.holder[lease.run_id] = lease.token
            self.leases.append(lease)
            journaled = {(lease.run_id, entry.step): entry.data for entry in lease.entries if entry.data is not None}
            for key, data in self.acknowledged.items():
                assert key[0] != lease.run_id or journaled[key] == data, "a lease began with another result"

    async def answer(self) -> None:
        """Any lease ever handed out says something, most often one that counts; only the holder's word is taken."""
        counting = [lease for lease in self.leases if self.holder.get(lease.run_id) == lease.token]
        among = counting if counting and self.rng.random() < 0.75 else self.leases
        if not among:
            return
        lease = self.rng.choice(among)
        outcome: Literal["go", "park", "release", "pause", "end"] = self.rng.choice(
            ["go", "go", "park", "park", "release", "pause", "end"]
        )
        last = await self.world.value(
            "select coalesce(max(ordinal), 0) from stepwell.journal where run_id = %(id)s", id=lease.run_id
        )
        step = f"s{next(self._steps)}"
        said = b'"%d"' % self.rng.getrandbits(40)
        more: dict[str, object] = {"ordinal": last + 1, "seq": next(self._seqs), "steps": {step: said}}
        if outcome == "park":
            more |= await self._opened(lease.run_id)
        elif outcome in ("release", "pause"):
            more["activity"] = "queued" if outcome == "release" else "paused"
        answer = exchange(lease, outcome, **more)  # type: ignore[arg-type]
        for wait in answer.waits:
            wait.step = f"{wait.step}{step}"
        for entry in answer.entries:
            if entry.entry == "wait_started":
                entry.step = f"{entry.step}{step}"
        held = await self.world.journal.queue.complete([answer])
        assert (lease.run_id in held) == (self.holder.get(lease.run_id) == lease.token), (
            "the fence let the wrong one in"
        )
        if lease.run_id not in held:
            return
        self.acknowledged[lease.run_id, step] = said
        if held[lease.run_id].woken and outcome == "park":
            assert await self.world.journal.queue.collect([(lease.run_id, lease.token)])
            await self.world.complete(exchange(lease, "release", activity="queued", seq=next(self._seqs)))
        if outcome != "go":
            self.holder[lease.run_id] = 0

    async def _opened(self, run_id: UUID) -> dict[str, object]:
        due = await self.world.now() + timedelta(seconds=self.rng.choice([-1, 0, 3600]))
        return self.rng.choice([{"sleep": due}, {"wait": "approved"}, {"wait": "approved", "timeout": due}])

    async def lose_leases(self) -> None:
        held = [run_id for run_id, token in self.holder.items() if token]
        lost = self.rng.sample(held, k=(len(held) + 1) // 2)
        await self.world.sql(
            "update stepwell.job set lease_until = clock_timestamp() - interval '1 ms' where run_id = any (%(lost)s)",
            lost=lost,
        )
        assert (await self.world.journal.queue.reap(limit=100, spread=timedelta()))[0] == len(lost)
        for run_id in lost:
            self.holder[run_id] = 0

    async def timers(self) -> None:
        await self.world.journal.waits.resolve_due(limit=self.rng.randint(1, 10))

    async def event(self) -> None:
        await self.world.send(self.app, ("approved", self.rng.randint(0, 9)))

    async def route(self) -> None:
        await self.world.journal.waits.route(limit=self.rng.randint(1, 10))

    async def some_run(self) -> UUID:
        return UUID(str(self.rng.choice(await self.world.rows("select id from stepwell.run order by id"))["id"]))

    async def cancel(self) -> None:
        run_id = await self.some_run()
        ended = (await self.world.run(run_id))["status"] != "active"
        try:
            await self.world.journal.control.cancel(run_id)
        except Conflict:
            assert ended
        else:
            self.holder[run_id] = 0

    async def resume(self) -> None:
        run_id = await self.some_run()
        paused = await self.world.state(run_id) == "paused"
        try:
            await self.world.journal.control.resume(run_id)
        except Conflict:
            assert not paused

    async def look(self) -> None:
        assert await self.world.rows(ORPHANS) == [], "orphans"
        assert await self.world.rows(LEFTOVERS) == [], "ended runs left something behind"
        assert await self.world.rows(LIARS) == [], "a run is not what it shows"
        results = {(row["run_id"], row["step"]): bytes(row["said"]) for row in await self.world.rows(RESULTS)}
        for key, said in self.acknowledged.items():
            assert results[key] == said, "an acknowledged result was lost or changed"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens_in_whatever_order_no_run_is_lost_and_no_word_changed(world: World, seed: int) -> None:
    app = await world.app(max_in_flight=1000)
    await world.function(app, triggers=on("go"))
    walk = Walk(world, app, random.Random(seed))
    moves: list[Callable[[], Awaitable[None]]] = [
        *[walk.answer] * 8,
        *[walk.claim] * 4,
        *[walk.start, walk.timers, walk.route, walk.event] * 2,
        walk.lose_leases,
        walk.cancel,
        walk.resume,
    ]
    await walk.start()
    for _ in range(MOVES):
        await walk.rng.choice(moves)()
        await walk.look()
    assert len(walk.acknowledged) > 50
    assert await world.value("select count(*) > 0 from stepwell.run where status <> 'active'")
