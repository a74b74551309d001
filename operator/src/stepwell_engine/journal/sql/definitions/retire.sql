-- Starts nothing any more; its runs go on.
update stepwell.definition set retired_at = now(), updated_at = now()
where id = any (%(ids)s) and retired_at is null
returning id
