-- One payload of a journal entry, whole.
select case %(part)s when 'data' then j.data when 'error' then j.error end as payload
from stepwell.journal j
where j.run_id = %(run_id)s and j.ordinal = %(ordinal)s
