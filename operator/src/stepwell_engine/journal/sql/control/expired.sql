select id, kind from stepwell.run
where deadline < now() and status = 'active' and not cancel_requested
order by deadline
limit %(limit)s
