insert into stepwell.revision (definition_id, number, document)
select %(id)s, coalesce(max(number), 0) + 1, %(document)s from stepwell.revision where definition_id = %(id)s
returning number
