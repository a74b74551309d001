-- Newest first, older than the keyset cursor. A null filter matches every run.
select r.id, r.app_id, a.namespace as app_namespace, a.name as app_name, a.environment, r.definition_id, r.kind, r.name,
       r.revision, r.status, r.activity, r.reason, r.trigger, r.event_id, r.event_name, r.labels, r.rerun_of, r.steps,
       case when length(r.error) <= 65536 then r.error end as error, r.created_at, r.started_at, r.ended_at,
       r.changed::text::bigint as changed,
       p.step as pending_step, p.type as pending_type, p.event_name as pending_event, p.due as pending_due
from stepwell.run r
join stepwell.app a on a.id = r.app_id
left join lateral (
    select w.step, w.type, w.event_name, w.due
    from stepwell.wait w
    where w.run_id = r.id and w.resolved_at is null and r.status = 'active'
    order by w.due nulls last, w.step
    limit 1
) p on true
where (%(before)s::uuid is null or r.id < %(before)s)
  and (%(lowest)s::uuid is null or r.id between %(lowest)s and %(highest)s)
  and (%(status)s::text[] is null or r.status = any(%(status)s))
  and (%(activity)s::text[] is null or r.activity = any(%(activity)s))
  and (%(kind)s::text is null or r.kind = %(kind)s)
  and (%(app)s::text is null or r.app_id = %(app)s)
  and (%(definition)s::text is null or r.name = %(definition)s)
  and (%(event)s::text is null or r.event_name = %(event)s)
  and (%(event_id)s::uuid is null or r.event_id = %(event_id)s)
  and (%(labels)s::jsonb is null or (r.labels <> '{}' and r.labels @> %(labels)s))
order by r.id desc
limit %(limit)s
