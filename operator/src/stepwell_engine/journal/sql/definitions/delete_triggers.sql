delete from stepwell.trigger where definition_id = any (%(ids)s)
