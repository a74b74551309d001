with event_keys as (
    delete from stepwell.event_key
    where (app_id, key) in (select app_id, key from stepwell.event_key where expires_at < now() limit %(limit)s)
    returning 1
), idempotency_keys as (
    delete from stepwell.idempotency_key
    where (definition_id, key) in (select definition_id, key from stepwell.idempotency_key where expires_at < now() limit %(limit)s)
    returning 1
)
select (select count(*) from event_keys) + (select count(*) from idempotency_keys)
