-- A definition's revisions, newest first.
select v.number, v.document, v.created_at
from stepwell.revision v
where v.definition_id = %(definition_id)s
order by v.number desc
limit %(limit)s
