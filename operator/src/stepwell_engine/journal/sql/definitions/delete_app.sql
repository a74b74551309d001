-- Gone for everybody at once; its runs are cancelled or kept by the caller's policy, its rows go by retention.
update stepwell.app set deleted_at = now(), generation = generation + 1
where id = %(id)s and deleted_at is null
