"""What the queue reads to move one run does not depend on how many others there are, whatever Postgres believes about its tables.

A plan is made once and kept by its connection. The ones looked at here are made while the database is new: that is when one that
reads everything would be chosen, and it would stay.
"""

from datetime import timedelta

from integration.world import OWNER, World, exchange, on, opened
from stepwell_engine.journal import Journal

SLEEPING = 2000
#: After this many times Postgres keeps a plan for good.
ROUNDS_TO_SETTLE = 8


async def move_one(world: World, journal: Journal, app_id: str) -> None:
    await world.send(await journal.definitions.get_app(app_id), ("many", None))
    (lease,) = await journal.queue.claim(owner=OWNER, limit=10, lease=timedelta(minutes=1), rooms={})
    await journal.queue.complete([exchange(lease, steps={"a": b"1"})])
    await journal.queue.renew([(lease.run_id, lease.token)], lease=timedelta(minutes=1))
    await journal.queue.release([(lease.run_id, lease.token)])
    (lease,) = await journal.queue.claim(owner=OWNER, limit=10, lease=timedelta(minutes=1), rooms={})
    await journal.queue.complete([exchange(lease, "end", seq=2, ordinal=2, steps={"b": b"1"})])


async def test_moving_one_run_reads_its_own_rows_only(world: World, database_url: str) -> None:
    app = await world.app()
    await world.function(app, triggers=on("many"))
    async with await opened(database_url, size=1) as journal:
        for _ in range(ROUNDS_TO_SETTLE):
            await move_one(world, journal, app.id)
        await world.sql(
            """
            insert into stepwell.run
                (id, app_id, definition_id, kind, name, revision, activity, trigger, event_ref, event_name, input)
            select gen_random_uuid(), app_id, definition_id, kind, name, revision, 'sleeping', trigger, event_ref, event_name, input
            from (select * from stepwell.run limit 1) any_run, generate_series(1, %(count)s)
            """,
            count=SLEEPING,
        )
        await world.sql(
            """
            insert into stepwell.job (run_id, app_id, owner, token, lease_until)
            select id, app_id, %(owner)s, nextval('stepwell.lease_token'), now() + interval '1 hour'
            from stepwell.run where activity = 'sleeping'
            """,
            owner=OWNER,
        )
        await world.sql("select pg_stat_reset()")
        await move_one(world, journal, app.id)
    await world.until("select n_tup_ins > 0 from pg_stat_user_tables where relname = 'journal'")
    read = await world.rows(
        """
        select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
                        + (select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid) as rows
        from pg_stat_user_tables t where relname in ('run', 'job', 'wait', 'journal')
        """
    )
    assert len(read) == 4
    assert [row for row in read if row["rows"] >= SLEEPING] == []
