-- Parked runs get a job; leased ones are told to look before they park. In run order, before any wait is touched.
insert into stepwell.job (run_id, app_id, priority)
select id, app_id, priority from stepwell.run
where id = any (%(run_ids)s) and (status = 'active') is true and activity <> 'paused'
order by id
on conflict (run_id) do update set woken = true
returning run_id, xmax = 0 as parked
