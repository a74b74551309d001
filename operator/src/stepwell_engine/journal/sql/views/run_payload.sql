-- One payload of a run, whole.
select case %(part)s when 'input' then r.input when 'output' then r.output when 'error' then r.error end as payload
from stepwell.run r
where r.id = %(run_id)s
