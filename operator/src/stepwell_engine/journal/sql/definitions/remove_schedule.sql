delete from stepwell.schedule where app_id = %(app_id)s and source = 'resource' and name = %(name)s
