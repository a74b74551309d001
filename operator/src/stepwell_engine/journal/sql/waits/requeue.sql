update stepwell.run set activity = 'queued', changed = pg_current_xact_id()
where id = any (%(run_ids)s) and (status = 'active') is true and activity <> 'paused'
