-- How many runs are in each state.
select r.status, r.activity, count(*) as runs
from stepwell.run r
where %(app)s::text is null or r.app_id = %(app)s
group by r.status, r.activity
