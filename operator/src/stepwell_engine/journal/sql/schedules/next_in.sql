-- Seconds until the first of those that `due` would find; 0 for one that is new or changed. Null: there is none.
select extract(epoch from min(coalesce(schedule.next_at, now())) - now())::float8
from stepwell.schedule
join stepwell.definition on definition.id = schedule.definition_id
join stepwell.app on app.id = schedule.app_id and app.deleted_at is null
where not schedule.suspended
