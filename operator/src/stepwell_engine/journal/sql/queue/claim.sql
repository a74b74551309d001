-- Lease up to %(limit)s due runs: an equal share of every app that has due jobs, inside an app by priority, due time, id.
-- One app's backlog never delays another's first run, whatever its length: `apps` hops through the index, one probe an app.
with recursive apps as (
    (select app_id from stepwell.job where owner is null order by app_id limit 1)
    union all
    select (select job.app_id from stepwell.job where owner is null and job.app_id > apps.app_id order by job.app_id limit 1)
    from apps where apps.app_id is not null
), capacity as (
    select apps.app_id, coalesce(busy.room, app.max_in_flight) as room
    from apps
    join stepwell.app on app.id = apps.app_id
    left join unnest(%(app_ids)s::text[], %(rooms)s::integer[]) busy (app_id, room) on busy.app_id = apps.app_id
    where coalesce(busy.room, app.max_in_flight) > 0
), due as materialized (
    select job.run_id
    from (select app_id, room, greatest(1, %(limit)s / count(*) over ()) as share from capacity order by random()) fair
    cross join lateral (
        select run_id from stepwell.job
        where job.app_id = fair.app_id and owner is null and job.due <= now()
        order by priority desc, job.due, run_id
        limit least(fair.share, fair.room)
        for update skip locked
    ) job
    limit %(limit)s
), leased as (
    update stepwell.job
    set owner = %(owner)s, token = nextval('stepwell.lease_token'), lease_until = clock_timestamp() + %(lease)s, woken = false
    from due where job.run_id = due.run_id
    returning job.run_id, job.token, job.lease_until, job.losses, job.refusals, job.due
), begun as (
    update stepwell.run
    set activity = 'executing', reason = null, started_at = coalesce(started_at, now()), changed = pg_current_xact_id()
    from leased where run.id = leased.run_id and (run.status = 'active') is true and run.activity <> 'paused'
    returning run.id, run.app_id, run.definition_id, run.kind, run.name, run.revision, run.event_ref, run.event_name, run.input,
              run.cancel_requested, run.deadline, run.started_at = now() as fresh
)
select leased.run_id, leased.token, leased.lease_until, clock_timestamp() as now, leased.losses, leased.refusals,
       begun.id is not null as runnable, begun.app_id, begun.definition_id, begun.kind, begun.name, begun.revision, begun.event_ref,
       begun.event_name, begun.input, begun.cancel_requested, begun.fresh, begun.deadline, app.generation
from leased
left join begun on begun.id = leased.run_id
left join stepwell.app on app.id = begun.app_id
