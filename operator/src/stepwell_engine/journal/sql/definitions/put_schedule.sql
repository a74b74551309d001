insert into stepwell.schedule (app_id, definition_id, name, source, resource_uid, document, suspended)
values (%(app_id)s, %(definition_id)s, %(name)s, 'resource', %(resource_uid)s, %(document)s, %(suspended)s)
on conflict (app_id, source, name) do update
set suspended = excluded.suspended, document = excluded.document, definition_id = excluded.definition_id, resource_uid = excluded.resource_uid,
    next_at = case when schedule.document = excluded.document and not schedule.suspended
                    and schedule.definition_id is not distinct from excluded.definition_id then schedule.next_at end
returning id, next_at, last_at, last_run
