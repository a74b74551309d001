-- Functions and workflows with their active revision and their last runs, newest first.
select d.id, d.app_id, a.namespace as app_namespace, a.name as app_name, a.environment, d.kind, d.name,
       d.active_revision as revision, d.source, d.resource_name, d.suspended, d.retired_at, d.created_at, d.updated_at,
       v.document,
       coalesce(recent.runs, '[]') as recent
from stepwell.definition d
join stepwell.app a on a.id = d.app_id and a.deleted_at is null
join stepwell.revision v on v.definition_id = d.id and v.number = d.active_revision
left join lateral (
    select json_agg(json_build_object(
               'id', x.id, 'status', x.status, 'activity', x.activity,
               'seconds', extract(epoch from coalesce(x.ended_at, now()) - x.created_at)) order by x.id desc) as runs
    from (select r.id, r.status, r.activity, r.created_at, r.ended_at
          from stepwell.run r
          where r.definition_id = d.id
          order by r.id desc
          limit 30) x
) recent on true
where (%(app)s::text is null or d.app_id = %(app)s)
  and (%(definition_id)s::bigint is null or d.id = %(definition_id)s)
order by a.namespace, a.name, a.environment, d.kind, d.name
