select run_id from stepwell.idempotency_key where definition_id = %(definition_id)s and key = %(key)s
