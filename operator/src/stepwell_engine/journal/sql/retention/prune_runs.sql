with old as (
    select run.id from stepwell.run join stepwell.app on app.id = run.app_id
    where run.ended_at is not null
      and run.ended_at < now() - case when run.status = 'completed' then app.retention_completed else app.retention_failed end
    order by run.ended_at
    limit %(limit)s
    for update of run skip locked
), journal as (
    delete from stepwell.journal using old where journal.run_id = old.id
)
delete from stepwell.run using old where run.id = old.id
