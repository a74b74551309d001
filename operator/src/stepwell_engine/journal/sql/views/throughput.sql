-- Runs by the minute they were created in and the state they are in now; bounded by the time that is in their ids.
select date_trunc('minute', r.created_at) as minute, r.status, count(*) as runs
from stepwell.run r
where r.id >= %(since)s::uuid and (%(app)s::text is null or r.app_id = %(app)s)
group by 1, 2
order by 1, 2
