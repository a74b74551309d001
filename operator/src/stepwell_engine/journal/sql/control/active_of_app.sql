select id from stepwell.run
where app_id = %(app_id)s and status = 'active'
order by id
limit %(limit)s
