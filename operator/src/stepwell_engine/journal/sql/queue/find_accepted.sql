-- After a commit of unknown outcome: the exchanges that were accepted. Each accepted one left a row with (token, seq).
select t.run_id, t.token, t.seq, job.woken
from unnest(%(run_ids)s::uuid[], %(tokens)s::bigint[], %(seqs)s::integer[], %(ordinals)s::integer[]) t (run_id, token, seq, ordinal)
join stepwell.journal on journal.run_id = t.run_id and journal.ordinal = t.ordinal and journal.token = t.token and journal.seq = t.seq
left join stepwell.job on job.run_id = t.run_id and job.token = t.token
