-- Events, the runs they start and the jobs that make those go, in one statement: all of it or nothing. Without events, runs that
-- something else starts. Held runs wait, paused, for their definition.
with event as (
    insert into stepwell.event (id, app_id, external_id, name, data)
    select id, app_id, external_id, name, data
    from unnest(%(new_event_ids)s::uuid[], %(new_event_apps)s::text[], %(external_ids)s::text[], %(new_event_names)s::text[],
                %(data)s::bytea[])
         t (id, app_id, external_id, name, data)
), run as (
    insert into stepwell.run (id, app_id, definition_id, kind, name, revision, activity, reason, trigger, event_id, event_ref, event_name,
                              input, labels, priority, rerun_of, deadline, start_by)
    select id, app_id, definition_id, kind, name, revision, case when held then 'paused' when delay > '0' then 'scheduled' else 'queued' end,
           case when held then 'Suspended' end, trigger, event_id, event_ref, event_name, input, labels, priority, rerun_of,
           now() + run_timeout, now() + start_timeout
    from unnest(%(ids)s::uuid[], %(app_ids)s::text[], %(definition_ids)s::bigint[], %(kinds)s::text[], %(names)s::text[],
                %(revisions)s::integer[], %(held)s::boolean[], %(triggers)s::text[], %(event_ids)s::uuid[], %(event_refs)s::text[],
                %(event_names)s::text[], %(inputs)s::bytea[], %(labels)s::jsonb[], %(priorities)s::integer[], %(reruns)s::uuid[],
                %(run_timeouts)s::interval[], %(delays)s::interval[], %(start_timeouts)s::interval[])
         t (id, app_id, definition_id, kind, name, revision, held, trigger, event_id, event_ref, event_name, input, labels, priority, rerun_of, run_timeout,
            delay, start_timeout)
)
insert into stepwell.job (run_id, app_id, priority, due)
select id, app_id, priority, now() + delay
from unnest(%(ids)s::uuid[], %(app_ids)s::text[], %(priorities)s::integer[], %(held)s::boolean[], %(delays)s::interval[])
     t (id, app_id, priority, held, delay)
where not held
