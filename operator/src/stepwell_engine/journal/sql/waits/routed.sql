update stepwell.event set unrouted = false where id = any (%(event_ids)s)
