-- While a leased run's events are accepted, nobody may take the lease away or end the run.
select from stepwell.job where run_id = %(run_id)s and token = %(token)s for share
