-- Open waits that one of these events could satisfy: of the same app and name, on record before the event was accepted.
select event.id as event_id, wait.run_id, wait.step, wait.match
from unnest(%(event_ids)s::uuid[]) t (id)
join stepwell.event on event.id = t.id
join stepwell.wait on wait.app_id = event.app_id and wait.event_name = event.name and wait.resolved_at is null
                  and wait.created_at <= event.accepted_at
order by event.id, wait.run_id, wait.step
