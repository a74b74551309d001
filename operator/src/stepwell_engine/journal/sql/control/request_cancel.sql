-- The run is to stop; its worker undoes its steps first. A person's cancel stands: the run's deadline is nothing to it any more.
update stepwell.run
set cancel_requested = true, deadline = case when %(timed_out)s then deadline end,
    activity = case when activity in ('executing', 'compensating') then activity else 'queued' end, changed = pg_current_xact_id()
where id = %(run_id)s and (status = 'active') is true
returning id
