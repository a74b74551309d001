-- Two installers wait for each other. Transaction-level, so that a pooler may stand between. The number spells STEPWELL.
select set_config('lock_timeout', '30s', true), pg_advisory_xact_lock(6004500414555573324)
