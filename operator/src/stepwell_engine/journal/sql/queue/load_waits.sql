select run_id, step, type, due
from stepwell.wait
where run_id = any (%(run_ids)s) and resolved_at is null
