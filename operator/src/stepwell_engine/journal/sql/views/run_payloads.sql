-- The beginnings of a run's payloads and their whole sizes, and the document of the revision it is pinned to.
select substring(r.input from 1 for %(preview)s) as input, length(r.input) as input_size,
       substring(r.output from 1 for %(preview)s) as output, length(r.output) as output_size,
       substring(r.error from 1 for %(preview)s) as error, length(r.error) as error_size,
       v.document
from stepwell.run r
left join stepwell.revision v on v.definition_id = r.definition_id and v.number = r.revision
where r.id = %(run_id)s
