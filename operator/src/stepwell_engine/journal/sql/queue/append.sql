-- Exchanges after which every lease simply goes on: journal rows under the fence, and nothing else. The commonest case of
-- complete, at a third of its cost.
with held as materialized (
    select job.run_id, job.woken, job.losses > 0 or job.refusals > 0 as shaken
    from stepwell.job
    join unnest(%(run_ids)s::uuid[], %(tokens)s::bigint[]) t (run_id, token) on job.run_id = t.run_id and job.token = t.token
    order by job.run_id for update of job
), journaled as (
    insert into stepwell.journal (run_id, ordinal, entry, step, type, attempt, data, error, due, called_at, app_ms, token, seq)
    select e.run_id, e.ordinal, e.entry, e.step, e.type, e.attempt, e.data, e.error, e.due, e.called_at, e.app_ms, e.token, e.seq
    from unnest(%(entry_runs)s::uuid[], %(ordinals)s::integer[], %(entries)s::text[], %(entry_steps)s::text[], %(entry_types)s::text[],
                %(attempts)s::smallint[], %(data)s::bytea[], %(entry_errors)s::bytea[], %(dues)s::timestamptz[],
                %(called_at)s::timestamptz[], %(app_ms)s::real[], %(entry_tokens)s::bigint[], %(seqs)s::integer[])
         e (run_id, ordinal, entry, step, type, attempt, data, error, due, called_at, app_ms, token, seq)
    join held on held.run_id = e.run_id
), calmed as (
    update stepwell.job set losses = 0, refusals = 0 from held where job.run_id = held.run_id and held.shaken
)
select run_id, woken from held
