-- A run's journal after an ordinal, in order; payloads by their beginnings.
select j.ordinal, j.entry, j.step, j.type, j.attempt,
       substring(j.data from 1 for %(preview)s) as data, length(j.data) as data_size,
       case when length(j.error) <= 65536 then j.error end as error,
       j.due, j.called_at, j.app_ms, j.committed_at
from stepwell.journal j
where j.run_id = %(run_id)s and j.ordinal > %(after)s
order by j.ordinal
limit %(limit)s
