-- The newest final change of any run (run_id null, ordinal 0), and of each watched run its last ordinal and change.
-- One statement, all of it answered from the ends of indexes: this is the whole cost of an idle stream.
(select null::uuid as run_id, 0 as ordinal, r.changed::text::bigint as changed, r.id as changed_id
 from stepwell.run r
 where r.changed < pg_snapshot_xmin(pg_current_snapshot())
 order by r.changed desc, r.id desc
 limit 1)
union all
select w.run_id, coalesce((select max(j.ordinal) from stepwell.journal j where j.run_id = w.run_id), 0),
       r.changed::text::bigint, r.id
from unnest(%(run_ids)s::uuid[]) as w(run_id)
join stepwell.run r on r.id = w.run_id
