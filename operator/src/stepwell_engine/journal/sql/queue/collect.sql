-- Journal the waits that were resolved, in the order they were. Run under the job's lock, in a statement of its own: its
-- snapshot must be younger than the lock, or a wait resolved just before would be overlooked.
with resolved as (
    delete from stepwell.wait
    where run_id = any (%(run_ids)s) and resolved_at is not null
    returning run_id, step, type, due, created_at, resolved_at, outcome, data
), last as (
    select run_id, max(ordinal) as ordinal from stepwell.journal where run_id = any (%(run_ids)s) group by run_id
)
insert into stepwell.journal (run_id, ordinal, entry, step, type, data, due, called_at, outcome, committed_at)
select resolved.run_id,
       coalesce(last.ordinal, 0) + row_number() over (partition by resolved.run_id order by resolved.resolved_at, resolved.step),
       'wait_completed', resolved.step, resolved.type, coalesce(resolved.data, 'null'), resolved.due, resolved.created_at,
       resolved.outcome, resolved.resolved_at
from resolved left join last using (run_id)
where resolved.type <> 'retry'
