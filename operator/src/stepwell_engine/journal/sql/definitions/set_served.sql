-- What the app said of itself in `sync` or in answer to the introspection. Where a resource declares the app, it says the address.
update stepwell.app
set url = case when resource_uid is null then coalesce(%(url)s, url) else url end, protocol = %(protocol)s,
    checkpointing = %(checkpointing)s, shared_calls = %(shared_calls)s, sdk = %(sdk)s::jsonb
where id = %(id)s
