with resumed as (
    update stepwell.run set activity = 'queued', reason = null, changed = pg_current_xact_id()
    where id = %(run_id)s and (status = 'active') is true and activity = 'paused'
    returning id
)
insert into stepwell.journal (run_id, ordinal, entry)
select id, coalesce((select max(ordinal) from stepwell.journal where run_id = resumed.id), 0) + 1, 'run_resumed' from resumed
returning run_id
