select exists (select from stepwell.wait where resolved_at is null and due <= now()), due as next_at,
       extract(epoch from due - now())::float8 as next_in
from (select min(due) as due from stepwell.wait where resolved_at is null and due > now()) next
