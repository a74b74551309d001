select id, next_at, last_at, last_run
from stepwell.schedule
where app_id = %(app_id)s and source = 'resource' and name = %(name)s
