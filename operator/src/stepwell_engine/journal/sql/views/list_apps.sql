-- Every app that is not deleted, with what it holds.
select a.id, a.namespace, a.name, a.environment, a.url, a.protocol, a.checkpointing, a.timed_signature_only,
       a.max_in_flight, a.sdk, a.probe_failures, a.probe_error, a.probed_at, a.created_at,
       (select count(*) from stepwell.definition d where d.app_id = a.id and d.kind = 'function' and d.retired_at is null) as functions,
       (select count(*) from stepwell.definition d where d.app_id = a.id and d.kind = 'workflow' and d.retired_at is null) as workflows,
       (select count(*) from stepwell.schedule s where s.app_id = a.id) as schedules,
       (select count(*) from stepwell.run r where r.app_id = a.id and r.status = 'active') as active_runs,
       (select count(*) from stepwell.job j where j.app_id = a.id) as backlog
from stepwell.app a
where a.deleted_at is null
order by a.namespace, a.name, a.environment
