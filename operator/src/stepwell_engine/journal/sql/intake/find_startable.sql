select id, active_revision, suspended, retired_at is not null
from stepwell.definition
where app_id = %(app_id)s and kind = %(kind)s and name = %(name)s
