-- An unchanged cron trigger keeps its next instant; a changed one is computed anew, strictly in the future.
with wanted as (
    select name, document from unnest(%(names)s::text[], %(documents)s::bytea[]) t (name, document)
), gone as (
    delete from stepwell.schedule s
    where s.definition_id = %(id)s and s.source = 'trigger' and s.name <> all (%(names)s::text[])
)
insert into stepwell.schedule (app_id, definition_id, name, source, document, suspended)
select %(app_id)s, %(id)s, name, 'trigger', document, %(suspended)s from wanted
on conflict (app_id, source, name) do update
set suspended = excluded.suspended, document = excluded.document, definition_id = excluded.definition_id,
    next_at = case when schedule.document = excluded.document and not schedule.suspended then schedule.next_at end
