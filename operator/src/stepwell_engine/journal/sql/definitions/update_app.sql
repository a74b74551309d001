-- A no-op leaves the generation, and with it every cache, alone.
update stepwell.app
set resource_uid = %(resource_uid)s, url = coalesce(%(url)s, url), signing_keys = %(signing_keys)s, step_timeout = %(step_timeout)s,
    max_in_flight = %(max_in_flight)s, retention_completed = %(retention_completed)s, retention_failed = %(retention_failed)s,
    timed_signature_only = %(timed_signature_only)s, generation = generation + 1
where id = %(id)s
  and (%(keys_changed)s
       or (resource_uid, url, step_timeout, max_in_flight, retention_completed, retention_failed, timed_signature_only)
          is distinct from (%(resource_uid)s, coalesce(%(url)s, url), %(step_timeout)s, %(max_in_flight)s, %(retention_completed)s,
                            %(retention_failed)s, %(timed_signature_only)s))
