-- Runs with the jobs that make them go; held ones wait, paused, for their definition.
with run as (
    insert into stepwell.run (id, app_id, definition_id, kind, name, revision, activity, reason, trigger, event_id, event_ref, event_name,
                              input, labels, rerun_of, deadline)
    select id, app_id, definition_id, kind, name, revision, case when held then 'paused' else 'queued' end,
           case when held then 'Suspended' end, trigger, event_id, event_ref, event_name, input, labels, rerun_of, now() + run_timeout
    from unnest(%(ids)s::uuid[], %(app_ids)s::text[], %(definition_ids)s::bigint[], %(kinds)s::text[], %(names)s::text[],
                %(revisions)s::integer[], %(held)s::boolean[], %(triggers)s::text[], %(event_ids)s::uuid[], %(event_refs)s::text[],
                %(event_names)s::text[], %(inputs)s::bytea[], %(labels)s::jsonb[], %(reruns)s::uuid[], %(run_timeouts)s::interval[])
         t (id, app_id, definition_id, kind, name, revision, held, trigger, event_id, event_ref, event_name, input, labels, rerun_of, run_timeout)
)
insert into stepwell.job (run_id, app_id, priority)
select id, app_id, priority
from unnest(%(ids)s::uuid[], %(app_ids)s::text[], %(priorities)s::smallint[], %(held)s::boolean[]) t (id, app_id, priority, held)
where not held
