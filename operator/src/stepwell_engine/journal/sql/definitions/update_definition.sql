update stepwell.definition
set active_revision = %(revision)s, source = %(source)s, resource_name = %(resource_name)s, resource_uid = %(resource_uid)s,
    suspended = %(suspended)s, retired_at = null, updated_at = now()
where id = %(id)s
