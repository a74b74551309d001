insert into stepwell.job (run_id, app_id, priority)
select id, app_id, priority from stepwell.run where id = %(run_id)s and (status = 'active') is true
on conflict (run_id) do update set woken = true, due = case when job.owner is null then now() else job.due end
