select k.app_id, k.key, k.event_id, coalesce(array_agg(r.id order by r.id) filter (where r.id is not null), '{}') as run_ids
from (select distinct * from unnest(%(app_ids)s::text[], %(keys)s::text[]) u (app_id, key)) t
join stepwell.event_key k on k.app_id = t.app_id and k.key = t.key
left join stepwell.run r on r.event_id = k.event_id
group by k.app_id, k.key, k.event_id
