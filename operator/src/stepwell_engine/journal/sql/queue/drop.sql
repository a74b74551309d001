-- Jobs of runs that have ended or are paused: left by a wake-up that raced with the end.
delete from stepwell.job
using unnest(%(run_ids)s::uuid[], %(tokens)s::bigint[]) t (run_id, token)
where job.run_id = t.run_id and job.token = t.token
