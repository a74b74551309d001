update stepwell.wait
set resolved_at = clock_timestamp(), outcome = case wait.type when 'wait' then 'timed_out' else 'due' end
from unnest(%(run_ids)s::uuid[], %(steps)s::text[]) t (run_id, step)
where wait.run_id = t.run_id and wait.step = t.step and wait.resolved_at is null and wait.due <= now()
