-- Of those that `due` would find once their instant has come.
select extract(epoch from min(schedule.next_at) - now())::float8
from stepwell.schedule
join stepwell.definition on definition.id = schedule.definition_id
join stepwell.app on app.id = schedule.app_id and app.deleted_at is null
where not schedule.suspended
