select id, signing_keys from stepwell.app where deleted_at is null order by created_at desc limit 1
