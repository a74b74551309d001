-- All that a reaper has to do, in one look: leases that nobody renewed, and runs whose time is up (see control/expired).
select exists (select from stepwell.job where owner is not null and lease_until < clock_timestamp()) as leases,
       exists (select from stepwell.run where deadline < now() and status = 'active' and not cancel_requested)
       or exists (select from stepwell.run
                  where start_by < now() and started_at is null and status = 'active' and activity <> 'paused') as runs
