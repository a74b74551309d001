-- Nothing is returned when somebody else made the same app meanwhile: look again.
insert into stepwell.app (id, namespace, name, environment, resource_uid, url, signing_keys, step_timeout, max_in_flight,
                          retention_completed, retention_failed, timed_signature_only)
values (%(id)s, %(namespace)s, %(name)s, %(environment)s, %(resource_uid)s, %(url)s, %(signing_keys)s, %(step_timeout)s,
        %(max_in_flight)s, %(retention_completed)s, %(retention_failed)s, %(timed_signature_only)s)
on conflict (namespace, name, environment) where deleted_at is null do nothing
returning id
