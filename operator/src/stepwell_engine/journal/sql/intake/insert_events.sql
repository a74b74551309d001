insert into stepwell.event (id, app_id, external_id, name, data)
select id, app_id, external_id, name, data
from unnest(%(ids)s::uuid[], %(app_ids)s::text[], %(external_ids)s::text[], %(names)s::text[], %(data)s::bytea[])
     t (id, app_id, external_id, name, data)
