delete from stepwell.job where run_id = %(run_id)s
