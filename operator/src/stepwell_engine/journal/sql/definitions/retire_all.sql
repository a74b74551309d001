update stepwell.definition set retired_at = now(), updated_at = now()
where app_id = %(app_id)s and retired_at is null
