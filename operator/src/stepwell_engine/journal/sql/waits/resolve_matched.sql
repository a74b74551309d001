update stepwell.wait
set resolved_at = clock_timestamp(), outcome = 'event', data = t.data, event_id = t.event_id
from unnest(%(run_ids)s::uuid[], %(steps)s::text[], %(event_ids)s::uuid[], %(data)s::bytea[]) t (run_id, step, event_id, data)
where wait.run_id = t.run_id and wait.step = t.step and wait.resolved_at is null
