-- Schedules, the next to fire first, with what became of the last run.
select s.id, s.app_id, a.namespace as app_namespace, a.name as app_name, a.environment, s.name, s.source, s.document,
       s.suspended, s.next_at, s.last_at, s.last_run, r.status as last_status, r.activity as last_activity,
       s.definition_id, d.kind as target_kind, d.name as target_name
from stepwell.schedule s
join stepwell.app a on a.id = s.app_id and a.deleted_at is null
left join stepwell.definition d on d.id = s.definition_id
left join stepwell.run r on r.id = s.last_run
where %(app)s::text is null or s.app_id = %(app)s
order by s.suspended, s.next_at nulls last, s.name
