-- What the app said of itself in `sync` or in answer to the introspection.
update stepwell.app
set url = coalesce(%(url)s, url), protocol = %(protocol)s, checkpointing = %(checkpointing)s, sdk = %(sdk)s::jsonb
where id = %(id)s
