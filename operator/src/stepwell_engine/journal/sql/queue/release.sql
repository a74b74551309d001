-- A worker that stops gives back what it holds; nobody has to wait for the leases to expire.
with given as (
    update stepwell.job
    set owner = null, token = null, lease_until = null, due = now()
    from unnest(%(run_ids)s::uuid[], %(tokens)s::bigint[]) t (run_id, token)
    where job.run_id = t.run_id and job.token = t.token
    returning job.run_id
)
update stepwell.run set activity = 'queued', changed = pg_current_xact_id()
from given where run.id = given.run_id and (run.status = 'active') is true and run.activity <> 'paused'
