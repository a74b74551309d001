-- The oldest transaction still in progress: every change below it is visible to a statement that begins now.
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon
