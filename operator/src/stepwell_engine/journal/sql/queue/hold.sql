-- Lock the leases that are still ours, and take note that we look at what woke them.
update stepwell.job set woken = false
from (
    select job.run_id from stepwell.job
    join unnest(%(run_ids)s::uuid[], %(tokens)s::bigint[]) t (run_id, token) on job.run_id = t.run_id and job.token = t.token
    order by job.run_id for update of job
) held
where job.run_id = held.run_id
returning job.run_id
