update stepwell.schedule
set next_at = %(next_at)s, last_at = coalesce(%(last_at)s, last_at), last_run = coalesce(%(last_run)s, last_run)
where id = %(id)s
