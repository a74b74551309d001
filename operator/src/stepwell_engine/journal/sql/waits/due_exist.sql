select exists (select from stepwell.wait where resolved_at is null and due <= now()),
       extract(epoch from (select min(due) from stepwell.wait where resolved_at is null and due > now()) - now())::float8
