-- What a run waits for now.
select w.step, w.type, w.event_name, w.match, w.due, w.created_at
from stepwell.wait w
where w.run_id = %(run_id)s and w.resolved_at is null
order by w.due nulls last, w.step
