-- Expired leases are queued again, spread over %(spread)s. State and expiry are checked again in the update itself: the
-- lease may have been renewed between the look and the lock.
with expired as materialized (
    select run_id from stepwell.job
    where owner is not null and lease_until < clock_timestamp()
    order by lease_until limit %(limit)s
    for update skip locked
), lost as (
    update stepwell.job
    set owner = null, token = null, lease_until = null, losses = losses + 1, due = now() + random() * %(spread)s
    from expired
    where job.run_id = expired.run_id and job.owner is not null and job.lease_until < clock_timestamp()
    returning job.run_id, job.losses
), noted as (
    insert into stepwell.journal (run_id, ordinal, entry)
    select lost.run_id, coalesce((select max(ordinal) from stepwell.journal where journal.run_id = lost.run_id), 0) + 1, 'lease_lost'
    from lost
), requeued as (
    update stepwell.run set activity = 'queued', changed = pg_current_xact_id()
    from lost where run.id = lost.run_id and (run.status = 'active') is true and run.activity <> 'paused'
)
select run_id, losses from lost
