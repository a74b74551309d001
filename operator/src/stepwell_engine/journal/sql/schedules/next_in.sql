select extract(epoch from min(next_at) - now())::float8 from stepwell.schedule where not suspended
