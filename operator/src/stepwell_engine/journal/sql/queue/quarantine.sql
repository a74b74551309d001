-- A run that took its workers down again and again stops until somebody resumes it.
with poison as (
    delete from stepwell.job where run_id = any (%(run_ids)s) and owner is null and losses >= %(losses)s
    returning run_id
), noted as (
    insert into stepwell.journal (run_id, ordinal, entry, error)
    select run_id, (select max(ordinal) from stepwell.journal where journal.run_id = poison.run_id) + 1, 'run_paused', %(error)s
    from poison
)
update stepwell.run set activity = 'paused', reason = 'Quarantined', changed = pg_current_xact_id()
from poison where run.id = poison.run_id and (run.status = 'active') is true
returning run.id
