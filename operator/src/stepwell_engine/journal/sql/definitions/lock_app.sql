-- Definitions of one app change one after another.
update stepwell.app set generation = generation + 1
where id = %(id)s and deleted_at is null
returning id
