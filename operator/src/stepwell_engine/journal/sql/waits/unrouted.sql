select id, app_id, external_id, name, data, accepted_at
from stepwell.event
where unrouted
order by id
limit %(limit)s
for update skip locked
