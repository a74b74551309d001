-- Most events nobody waits for: they are routed by one statement. Answers how many were looked at, and how many of them
-- somebody may wait for; those are left for a transaction that matches them.
with found as (
    select id, app_id, name, accepted_at from stepwell.event
    where unrouted
    order by id
    limit %(limit)s
    for update skip locked
), awaited as materialized (
    select found.id from found
    where exists (
        select from stepwell.wait
        where wait.app_id = found.app_id and wait.event_name = found.name and wait.resolved_at is null
          and wait.created_at <= found.accepted_at
    )
), routed as (
    update stepwell.event set unrouted = false from found
    where event.id = found.id and not exists (select from awaited where awaited.id = found.id)
)
select (select count(*) from found), (select count(*) from awaited)
