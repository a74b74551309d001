-- New and changed ones (no next instant yet) and those whose instant has come. No row, no lock, no write.
select schedule.id, schedule.app_id, schedule.name, schedule.source, schedule.document, schedule.next_at, schedule.last_run,
       now() as now, definition.id as definition_id, definition.kind, definition.name as definition_name,
       definition.active_revision as revision, definition.suspended or definition.retired_at is not null as held,
       exists (select from stepwell.run where run.id = schedule.last_run and run.status = 'active') as running
from stepwell.schedule
join stepwell.definition on definition.id = schedule.definition_id
join stepwell.app on app.id = schedule.app_id and app.deleted_at is null
where not schedule.suspended and (schedule.next_at is null or schedule.next_at <= now())
order by schedule.next_at nulls first
limit %(limit)s
for update of schedule skip locked
