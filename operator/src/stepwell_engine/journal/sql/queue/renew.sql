-- Leases that still run are prolonged, all of a worker's at once. One that is not returned is lost.
update stepwell.job
set lease_until = clock_timestamp() + %(lease)s
from unnest(%(run_ids)s::uuid[], %(tokens)s::bigint[]) t (run_id, token)
where job.run_id = t.run_id and job.token = t.token and job.lease_until > clock_timestamp()
returning job.run_id, job.token, job.lease_until, clock_timestamp() as now
