select d.kind, d.name, r.document
from stepwell.revision r join stepwell.definition d on d.id = r.definition_id
where r.definition_id = %(id)s and r.number = %(number)s
