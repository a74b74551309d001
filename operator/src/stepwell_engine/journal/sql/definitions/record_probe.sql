update stepwell.app
set probe_failures = case when %(error)s::text is null then 0 else probe_failures + 1 end, probe_error = %(error)s, probed_at = now()
where id = %(id)s
returning probe_failures
