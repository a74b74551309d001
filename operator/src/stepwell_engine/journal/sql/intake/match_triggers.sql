-- The definitions that each event starts, conditions still to be decided. A suspended one starts runs that are held.
select t.app_id, t.event_name, t.condition, d.id as definition_id, d.kind, d.name, d.active_revision as revision, d.suspended
from (select distinct * from unnest(%(app_ids)s::text[], %(event_names)s::text[]) u (app_id, event_name)) e
join stepwell.trigger t on t.app_id = e.app_id and t.event_name = e.event_name
join stepwell.definition d on d.id = t.definition_id and d.retired_at is null
order by d.id, t.ordinal
