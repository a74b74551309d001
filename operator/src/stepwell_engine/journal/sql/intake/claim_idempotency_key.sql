insert into stepwell.idempotency_key (definition_id, key, run_id, expires_at)
values (%(definition_id)s, %(key)s, %(run_id)s, now() + %(window)s)
on conflict (definition_id, key) do update set run_id = excluded.run_id, expires_at = excluded.expires_at
where idempotency_key.expires_at <= now()
returning run_id
