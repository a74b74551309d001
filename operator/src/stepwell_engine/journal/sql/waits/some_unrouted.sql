select exists (select from stepwell.event where unrouted)
