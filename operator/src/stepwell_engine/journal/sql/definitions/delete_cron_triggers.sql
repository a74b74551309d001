delete from stepwell.schedule where definition_id = any (%(ids)s) and source = 'trigger'
