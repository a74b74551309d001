-- An event goes with the longer of its app's retentions.
with old as (
    select event.id from stepwell.event join stepwell.app on app.id = event.app_id
    where not event.unrouted and event.accepted_at < now() - greatest(app.retention_completed, app.retention_failed)
    limit %(limit)s
    for update of event skip locked
)
delete from stepwell.event using old where event.id = old.id
