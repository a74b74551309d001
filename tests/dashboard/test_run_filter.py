"""The list's query and the stream's predicate are two forms of one filter: drawn filters over drawn runs must agree."""

import random

from stepwell_engine.journal import Journal
from stepwell_engine.journal.run_filter import RunFilter

from .stage import Stage


async def test_the_query_and_the_predicate_show_the_same_runs(journal: Journal, stage: Stage) -> None:
    rng = random.Random(7)
    apps = [stage.app("shop"), stage.app("billing")]
    events = [stage.event(app, "order.paid") for app in apps]
    for number in range(60):
        at = rng.randrange(2)
        run = stage.run(
            apps[at],
            rng.choice(["order", "refund"]),
            kind=rng.choice(["function", "workflow"]),
            activity=rng.choice(["queued", "waiting", "sleeping"]),
            event=(events[at], "order.paid") if rng.random() < 0.5 else None,
            labels={key: rng.choice("ab") for key in ("tenant", "tier") if rng.random() < 0.6},
        )
        if number % 3 == 0:
            run.to("completed", output=number)
    everything = await journal.views.list_runs(RunFilter(), limit=100)

    def maybe(*values: str) -> str | None:
        return rng.choice([None, *values])

    for _ in range(200):
        where = RunFilter(
            status=tuple(rng.sample(["active", "completed", "failed"], rng.randrange(3))),
            activity=tuple(rng.sample(["queued", "waiting"], rng.randrange(2))),
            kind=maybe("function"),
            app=maybe(*apps),
            definition=maybe("order"),
            event=maybe("order.paid"),
            event_id=rng.choice([None, None, *events]),
            labels={key: rng.choice("ab") for key in ("tenant", "tier") if rng.random() < 0.3},
            id_prefix=str(rng.choice(everything).id)[: rng.choice([0, 0, 8, 13, 36])],
        )
        listed = await journal.views.list_runs(where, limit=100)
        assert [run.id for run in listed] == [run.id for run in everything if where.matches(run)]
