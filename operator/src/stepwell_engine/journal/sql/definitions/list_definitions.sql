select id, app_id, kind, name, active_revision as revision, source, resource_uid, suspended, retired_at is not null as retired
from stepwell.definition
where app_id = %(app_id)s
order by kind, name
