-- Over timeouts.run, or never begun within timeouts.start.
(select id, false as unstarted from stepwell.run
 where deadline < now() and status = 'active' and not cancel_requested
 order by deadline limit %(limit)s)
union all
(select id, true from stepwell.run
 where start_by < now() and started_at is null and status = 'active' and activity <> 'paused'
 order by start_by limit %(limit)s)
