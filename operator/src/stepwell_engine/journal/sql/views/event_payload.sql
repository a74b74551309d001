-- One event's data, whole.
select e.data as payload
from stepwell.event e
where e.id = %(event_id)s
