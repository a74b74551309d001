update stepwell.run
set cancel_requested = true, activity = case when activity = 'executing' then activity else 'queued' end, changed = pg_current_xact_id()
where id = %(run_id)s and status = 'active'
returning id
