-- Only while nobody has leased it: a run that has begun is no longer late to start.
delete from stepwell.job where run_id = %(run_id)s and owner is null
