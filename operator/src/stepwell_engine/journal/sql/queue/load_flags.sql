select id, cancel_requested from stepwell.run where id = any (%(run_ids)s)
