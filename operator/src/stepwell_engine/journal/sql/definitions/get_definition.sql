select d.id, d.app_id, d.kind, d.name, d.active_revision as revision, d.source, d.resource_uid, d.suspended,
       d.retired_at is not null as retired, r.document
from stepwell.definition d
join stepwell.revision r on r.definition_id = d.id and r.number = d.active_revision
where d.app_id = %(app_id)s and d.kind = %(kind)s and d.name = %(name)s
