select run_id, ordinal, entry, step, type, attempt, data, error, due, committed_at
from stepwell.journal
where run_id = any (%(run_ids)s)
order by run_id, ordinal
