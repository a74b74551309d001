-- Returned: the keys that are new (or whose window had passed). The others are repeats.
insert into stepwell.event_key (app_id, key, event_id, expires_at)
select app_id, key, event_id, now() + %(window)s
from unnest(%(app_ids)s::text[], %(keys)s::text[], %(event_ids)s::uuid[]) t (app_id, key, event_id)
order by app_id, key
on conflict (app_id, key) do update set event_id = excluded.event_id, expires_at = excluded.expires_at
where event_key.expires_at <= now()
returning event_id
