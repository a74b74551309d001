-- Runs that were held because their definition was suspended go on.
with held as (
    update stepwell.run set activity = 'queued', reason = null, changed = pg_current_xact_id()
    where definition_id = %(id)s and status = 'active' and activity = 'paused' and reason = 'Suspended'
    returning id, app_id, priority
)
insert into stepwell.job (run_id, app_id, priority) select id, app_id, priority from held
on conflict (run_id) do update set woken = true
