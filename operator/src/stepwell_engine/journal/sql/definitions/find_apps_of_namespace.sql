select id, namespace, name, environment, resource_uid, url, signing_keys, protocol, timed_signature_only, checkpointing, shared_calls,
       step_timeout, max_in_flight, sdk, probe_failures, probe_error, generation
from stepwell.app
where namespace = %(namespace)s and name = %(name)s and deleted_at is null
