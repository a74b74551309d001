select pg_notify(%(channel)s, name) from unnest(%(names)s::text[]) name
