insert into stepwell.trigger (definition_id, ordinal, app_id, event_name, condition)
select %(id)s, t.ordinal, %(app_id)s, t.event_name, t.condition
from unnest(%(ordinals)s::smallint[], %(event_names)s::text[], %(conditions)s::text[]) t (ordinal, event_name, condition)
