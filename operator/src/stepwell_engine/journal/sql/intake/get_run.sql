select id, name, kind, status, activity, reason, output, error
from stepwell.run
where id = %(run_id)s and app_id = %(app_id)s
