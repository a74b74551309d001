-- What many exchanges with apps brought, in one statement and so in one commit. Nothing of an exchange happens unless its
-- lease is still held: `held` locks the job rows by (run, token), in order, and everything else joins it.
--
-- outcome: go       the lease goes on
--          park     the run waits: the job goes, unless something was resolved meanwhile
--          release  the lease ends and the run is due again later
--          pause    the run stops until somebody resumes it
--          end      the run has ended
with exchange as (
    select * from unnest(%(run_ids)s::uuid[], %(tokens)s::bigint[], %(outcomes)s::text[], %(activities)s::text[], %(statuses)s::text[],
                         %(reasons)s::text[], %(outputs)s::bytea[], %(errors)s::bytea[], %(delays)s::interval[], %(refusals)s::smallint[],
                         %(steps)s::integer[], %(withdrawals)s::boolean[])
           t (run_id, token, outcome, activity, status, reason, output, error, delay, refusals, steps, withdraw)
), held as materialized (
    select job.run_id, job.woken, exchange.outcome, exchange.activity, exchange.status, exchange.reason, exchange.output, exchange.error,
           exchange.delay, exchange.refusals, exchange.steps, exchange.withdraw
    from stepwell.job join exchange on job.run_id = exchange.run_id and job.token = exchange.token
    order by job.run_id for update of job
), journaled as (
    insert into stepwell.journal (run_id, ordinal, entry, step, type, attempt, data, error, due, called_at, app_ms, token, seq)
    select e.run_id, e.ordinal, e.entry, e.step, e.type, e.attempt, e.data, e.error, e.due, e.called_at, e.app_ms, e.token, e.seq
    from unnest(%(entry_runs)s::uuid[], %(ordinals)s::integer[], %(entries)s::text[], %(entry_steps)s::text[], %(entry_types)s::text[],
                %(attempts)s::smallint[], %(data)s::bytea[], %(entry_errors)s::bytea[], %(dues)s::timestamptz[],
                %(called_at)s::timestamptz[], %(app_ms)s::real[], %(entry_tokens)s::bigint[], %(seqs)s::integer[])
         e (run_id, ordinal, entry, step, type, attempt, data, error, due, called_at, app_ms, token, seq)
    join held on held.run_id = e.run_id
), waiting as (
    insert into stepwell.wait (run_id, step, app_id, type, due, event_name, match)
    select w.run_id, w.step, w.app_id, w.type, w.due, w.event_name, w.match
    from unnest(%(wait_runs)s::uuid[], %(wait_steps)s::text[], %(wait_apps)s::text[], %(wait_types)s::text[],
                %(wait_dues)s::timestamptz[], %(wait_events)s::text[], %(wait_matches)s::bytea[])
         w (run_id, step, app_id, type, due, event_name, match)
    join held on held.run_id = w.run_id
    on conflict (run_id, step) do nothing
), ended as (
    delete from stepwell.job using held
    where job.run_id = held.run_id and (held.outcome in ('end', 'pause') or (held.outcome = 'park' and not held.woken))
), released as (
    update stepwell.job
    set owner = null, token = null, lease_until = null, due = now() + held.delay, losses = 0, refusals = held.refusals
    from held
    where job.run_id = held.run_id and held.outcome = 'release'
), kept as (
    update stepwell.job set losses = 0, refusals = 0
    from held
    where job.run_id = held.run_id and (held.outcome = 'go' or held.outcome = 'park' and held.woken)
      and (job.losses > 0 or job.refusals > 0)
), moved as (
    update stepwell.run
    set status = coalesce(held.status, run.status),
        activity = case when held.outcome <> 'end' then coalesce(held.activity, run.activity) end,
        reason = held.reason, output = held.output, error = held.error,
        ended_at = case when held.outcome = 'end' then now() end,
        steps = held.steps, changed = pg_current_xact_id()
    from held
    where run.id = held.run_id and (run.status = 'active') is true
      and (held.outcome in ('end', 'pause', 'release') or held.outcome = 'park' and not held.woken or held.activity is not null)
), unwaited as (
    delete from stepwell.wait using held
    where wait.run_id = held.run_id and (held.outcome = 'end' or held.withdraw)
)
select run_id, woken from held
