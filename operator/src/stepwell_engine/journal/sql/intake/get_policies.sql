select definition_id, number, document
from stepwell.revision
where (definition_id, number) in (select * from unnest(%(definition_ids)s::bigint[], %(revisions)s::integer[]))
