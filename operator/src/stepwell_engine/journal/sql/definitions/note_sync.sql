-- A signed request to sync, under the app's lock. No row: it was accepted before, and another one since. The latest one may come
-- again, as it changes nothing: copies of an app that start in the same second send the same bytes.
with past as (
    delete from stepwell.sync_request where app_id = %(app_id)s and accepted_at < clock_timestamp() - interval '15 minutes'
)
insert into stepwell.sync_request as noted (app_id, signature, accepted_at)
values (%(app_id)s, %(signature)s, clock_timestamp())
on conflict (app_id, signature) do update set accepted_at = excluded.accepted_at
where noted.accepted_at = (select max(accepted_at) from stepwell.sync_request where app_id = %(app_id)s)
returning true
