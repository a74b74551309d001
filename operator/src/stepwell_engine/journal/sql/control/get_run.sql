select run.kind, run.status, run.activity, run.app_id, run.definition_id, run.name, run.input, run.labels, run.event_ref, run.event_name,
       run.event_id, definition.active_revision as revision, definition.retired_at is not null as retired,
       exists (select from stepwell.journal where run_id = run.id and entry in ('step_completed', 'compensation_started')) as compensable
from stepwell.run join stepwell.definition on definition.id = run.definition_id
where run.id = %(run_id)s
