-- Events, newest first, older than the keyset cursor, with the runs each started.
select e.id, e.app_id, a.namespace as app_namespace, a.name as app_name, a.environment, e.external_id, e.name,
       substring(e.data from 1 for %(preview)s) as data, length(e.data) as data_size, e.accepted_at, e.unrouted,
       coalesce(started.runs, '[]') as runs
from stepwell.event e
join stepwell.app a on a.id = e.app_id
left join lateral (
    select json_agg(json_build_object('id', x.id, 'kind', x.kind, 'definition', x.name, 'status', x.status,
                                      'activity', x.activity) order by x.id) as runs
    from (select r.id, r.kind, r.name, r.status, r.activity
          from stepwell.run r
          where r.event_id = e.id
          order by r.id
          limit 20) x
) started on true
where (%(before)s::uuid is null or e.id < %(before)s)
  and (%(app)s::text is null or e.app_id = %(app)s)
  and (%(name)s::text is null or e.name = %(name)s)
  and (%(event_id)s::uuid is null or e.id = %(event_id)s)
order by e.id desc
limit %(limit)s
