-- One run, as the list shows it.
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
where r.id = %(run_id)s
