-- The run, its waits and its record of the end. Guarded: only an active run ends.
with ended as (
    update stepwell.run
    set status = %(status)s, activity = null, reason = %(reason)s, error = %(error)s, ended_at = now(), changed = pg_current_xact_id()
    where id = %(run_id)s and (status = 'active') is true
    returning id
), unwaited as (
    delete from stepwell.wait using ended where wait.run_id = ended.id
)
insert into stepwell.journal (run_id, ordinal, entry, error)
select ended.id, coalesce((select max(ordinal) from stepwell.journal where run_id = ended.id), 0) + 1, %(entry)s, %(error)s from ended
returning run_id
