insert into stepwell.definition (app_id, kind, name, active_revision, source, resource_name, resource_uid, suspended)
values (%(app_id)s, %(kind)s, %(name)s, 1, %(source)s, %(resource_name)s, %(resource_uid)s, %(suspended)s)
returning id
