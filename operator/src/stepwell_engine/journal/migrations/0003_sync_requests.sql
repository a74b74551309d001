-- Signed requests to `/fn/sync` of the last minutes. One that comes again after another would put back what was replaced.
create table stepwell.sync_request (
    app_id      text        not null references stepwell.app (id) on delete cascade,
    signature   text        not null,
    accepted_at timestamptz not null,
    primary key (app_id, signature)
);
