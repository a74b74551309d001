select run_id, step from stepwell.wait
where resolved_at is null and due <= now()
order by due, run_id
limit %(limit)s
