-- Events, the runs they start and the jobs that make those go, in one statement: all of it or nothing. An event whose key was
-- taken before, or by an earlier one of this batch, is left out with its runs, and so is a run whose idempotency key was; the ids
-- of the events and runs that were accepted are returned, and whether somebody may wait for them. Without events, runs that something else starts. Held runs wait, paused,
-- for their definition.
with incoming as (
    select *
    from unnest(%(new_event_ids)s::uuid[], %(new_event_apps)s::text[], %(external_ids)s::text[], %(new_event_names)s::text[],
                %(data)s::bytea[], %(keys)s::text[])
         with ordinality t (id, app_id, external_id, name, data, key, place)
), claimed as (
    insert into stepwell.event_key (app_id, key, event_id, expires_at)
    select app_id, key, id, now() + %(window)s
    from (select distinct on (app_id, key) app_id, key, id from incoming where key is not null order by app_id, key, place) first
    on conflict (app_id, key) do update set event_id = excluded.event_id, expires_at = excluded.expires_at
    where event_key.expires_at <= now()
    returning event_id
), event as (
    -- A wait that this statement can't see yet was not on record when the event was sent.
    insert into stepwell.event (id, app_id, external_id, name, data, unrouted)
    select id, app_id, external_id, name, data, exists (
        select from stepwell.wait
        where wait.app_id = incoming.app_id and wait.event_name = incoming.name and wait.resolved_at is null
    )
    from incoming
    where key is null or id in (select event_id from claimed)
    returning id, unrouted
), starting as (
    select *
    from unnest(%(ids)s::uuid[], %(app_ids)s::text[], %(definition_ids)s::bigint[], %(kinds)s::text[], %(names)s::text[],
                %(revisions)s::integer[], %(held)s::boolean[], %(triggers)s::text[], %(event_ids)s::uuid[], %(event_refs)s::text[],
                %(event_names)s::text[], %(inputs)s::bytea[], %(labels)s::jsonb[], %(priorities)s::integer[], %(reruns)s::uuid[],
                %(run_timeouts)s::interval[], %(delays)s::interval[], %(start_timeouts)s::interval[], %(run_keys)s::text[])
         t (id, app_id, definition_id, kind, name, revision, held, trigger, event_id, event_ref, event_name, input, labels, priority,
            rerun_of, run_timeout, delay, start_timeout, key)
    where event_id is null or event_id in (select id from event)
), first_start as (
    insert into stepwell.idempotency_key (definition_id, key, run_id, expires_at)
    select definition_id, key, id, now() + %(window)s from starting where key is not null
    on conflict (definition_id, key) do update set run_id = excluded.run_id, expires_at = excluded.expires_at
    where idempotency_key.expires_at <= now()
    returning run_id
), run as (
    insert into stepwell.run (id, app_id, definition_id, kind, name, revision, activity, reason, trigger, event_id, event_ref, event_name,
                              input, labels, priority, rerun_of, deadline, start_by)
    select id, app_id, definition_id, kind, name, revision, case when held then 'paused' when delay > '0' then 'scheduled' else 'queued' end,
           case when held then 'Suspended' end, trigger, event_id, event_ref, event_name, input, labels, priority, rerun_of,
           now() + run_timeout, now() + start_timeout
    from starting
    where key is null or id in (select run_id from first_start)
    returning id
), job as (
    insert into stepwell.job (run_id, app_id, priority, due)
    select id, app_id, priority, now() + delay from starting
    where not held and (key is null or id in (select run_id from first_start))
)
select id, unrouted as awaited from event union all select id, false from run
