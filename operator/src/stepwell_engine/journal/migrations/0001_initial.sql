-- Everything the engine keeps. Hot (app, job, wait) and history (run, journal, event) live apart:
-- a run's past never sits in an index that a claim reads.
--
-- Rules that hold for every table
--   * payloads are bytea: the JSON text as it was received, after a strict parse. Never jsonb, where some hundred
--     bytes of JSON can unfold to megabytes.
--   * rows of one run are locked in the order job -> run -> wait, many runs in ascending run id: no deadlocks.
--   * run ids are UUIDv7: time-ordered, so that inserts touch the right edge of every index.

create schema if not exists stepwell;

create domain stepwell.json_text as bytea check (length(value) <= 67108864);

-- Fencing tokens. One sequence for all runs: a later claim of any run has a greater token than an earlier one,
-- also when the job row was deleted and made again in between.
create sequence stepwell.lease_token as bigint;

create table stepwell.app (
    id                    text        primary key check (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    namespace             text        not null default '',
    name                  text        not null check (name ~ '^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$'),
    environment           text        not null check (environment in ('dev', 'acc', 'prod')),
    resource_uid          text,                     -- of the StepwellApp that declares it; null: made through the API
    url                   text,                     -- callback address; null until known
    signing_keys          bytea       not null,     -- AES-GCM sealed JSON list: current first, then the previous one
    protocol              smallint    not null default 1 check (protocol in (1, 2)),
    timed_signature_only  boolean     not null default false,
    checkpointing         boolean     not null default false,
    step_timeout          interval    not null default '30 seconds' check (step_timeout > '0'),
    max_in_flight         integer     not null default 200 check (max_in_flight > 0),
    retention_completed   interval    not null default '30 days',
    retention_failed      interval    not null default '90 days',
    sdk                   jsonb       not null default '{}',
    probe_failures        integer     not null default 0,
    probe_error           text,
    probed_at             timestamptz,
    generation            bigint      not null default 1,  -- raised by every change; caches compare it
    created_at            timestamptz not null default now(),
    deleted_at            timestamptz
);
-- get_app by identity; v1 `/api/apps` is idempotent per (name, environment)
create unique index app_identity on stepwell.app (namespace, name, environment) where deleted_at is null;

create table stepwell.definition (
    id              bigint      generated always as identity primary key,
    app_id          text        not null references stepwell.app on delete cascade,
    kind            text        not null check (kind in ('function', 'workflow')),
    name            text        not null,           -- a function's handler id as the app knows it; a workflow's resource name
    active_revision integer     not null check (active_revision > 0),
    source          text        not null check (source in ('resource', 'sync')),
    resource_name   text,                           -- the object that declares it, if any
    resource_uid    text,
    suspended       boolean     not null default false,
    retired_at      timestamptz,                    -- no longer declared or served: starts nothing, runs go on
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    unique (app_id, kind, name)
);

create table stepwell.revision (
    definition_id bigint      not null references stepwell.definition on delete cascade,
    number        integer     not null check (number > 0),
    document      stepwell.json_text not null,      -- canonical JSON of the spec
    created_at    timestamptz not null default now(),
    primary key (definition_id, number)
);

create table stepwell.trigger (
    definition_id bigint   not null references stepwell.definition on delete cascade,
    ordinal       smallint not null,
    app_id        text     not null references stepwell.app on delete cascade,
    event_name    text     not null,
    condition     text,                             -- CEL over `event`; null: always
    primary key (definition_id, ordinal)
);
-- intake/match_triggers
create index trigger_by_event on stepwell.trigger (app_id, event_name);

-- A schedule is declared by a Schedule resource or by a definition's cron trigger. next_at is always the next instant
-- to fire; (id, next_at) moves forward in the transaction that starts the run, so an instant fires once.
create table stepwell.schedule (
    id             bigint      generated always as identity primary key,
    app_id         text        not null references stepwell.app on delete cascade,
    definition_id  bigint      references stepwell.definition on delete cascade,
    name           text        not null,            -- resource name, or `<kind>/<definition>#<ordinal>` for a cron trigger
    source         text        not null check (source in ('resource', 'trigger')),
    resource_uid   text,
    document       stepwell.json_text not null,
    suspended      boolean     not null default false,
    next_at        timestamptz,             -- null: new or changed, to be computed
    last_at        timestamptz,
    last_run       uuid,
    created_at     timestamptz not null default now(),
    unique (app_id, source, name)
);
-- schedules/due
create index schedule_due on stepwell.schedule (next_at nulls first) where not suspended;

create table stepwell.event (
    id          uuid        primary key,            -- ours, UUIDv7
    app_id      text        not null references stepwell.app on delete cascade,
    external_id text        not null,               -- the sender's id, or ours
    name        text        not null,
    data        stepwell.json_text not null,
    accepted_at timestamptz not null default clock_timestamp(),
    unrouted    boolean     not null default true   -- waits and cancellations not matched yet
);
-- routing/claim
create index event_unrouted on stepwell.event (id) where unrouted;
-- views/list_events, retention/prune_events
create index event_by_app on stepwell.event (app_id, id desc);

-- Event ids and idempotency keys answer repeats for their window and then go, apart from what they named.
create table stepwell.event_key (
    app_id     text        not null references stepwell.app on delete cascade,
    key        text        not null,
    event_id   uuid        not null,
    expires_at timestamptz not null,
    primary key (app_id, key)
);
-- retention/prune_keys
create index event_key_expiry on stepwell.event_key (expires_at);

create table stepwell.idempotency_key (
    definition_id bigint      not null references stepwell.definition on delete cascade,
    key           text        not null,
    run_id        uuid        not null,
    expires_at    timestamptz not null,
    primary key (definition_id, key)
);
-- retention/prune_keys
create index idempotency_key_expiry on stepwell.idempotency_key (expires_at);

create table stepwell.run (
    id            uuid        primary key,
    app_id        text        not null references stepwell.app on delete cascade,
    definition_id bigint      not null references stepwell.definition on delete cascade,
    kind          text        not null check (kind in ('function', 'workflow')),
    name          text        not null,
    revision      integer     not null,
    status        text        not null default 'active' check (status in ('active', 'completed', 'failed', 'cancelled')),
    activity      text        check (activity in ('queued', 'scheduled', 'executing', 'waiting', 'sleeping', 'compensating', 'paused')),
    reason        text,                             -- CamelCase: why it is paused, failed or cancelled
    trigger       text        not null check (trigger in ('event', 'cron', 'schedule', 'http', 'manual', 'rerun', 'completion')),
    event_id      uuid,
    event_ref     text        not null,             -- the id the handler sees as event.id
    event_name    text        not null,
    input         stepwell.json_text not null,
    output        stepwell.json_text,
    error         stepwell.json_text,
    labels        jsonb       not null default '{}',
    priority      integer     not null default 0,
    rerun_of      uuid,
    cancel_requested boolean  not null default false,
    deadline      timestamptz,                      -- timeouts.run; null: none
    start_by      timestamptz,                      -- timeouts.start; null: none
    created_at    timestamptz not null default now(),
    started_at    timestamptz,
    ended_at      timestamptz,
    steps         integer     not null default 0,   -- results journaled, as of the last change of status or activity
    changed       xid8        not null default pg_current_xact_id(),
    check ((status = 'active') = (activity is not null)),
    check ((status = 'active') = (ended_at is null)),
    check (status <> 'completed' or output is not null),
    check (status <> 'failed' or error is not null)
) with (fillfactor = 80);
-- views/list_runs
create index run_by_app on stepwell.run (app_id, id desc);
create index run_by_status on stepwell.run (status, activity, id desc);
create index run_by_definition on stepwell.run (definition_id, id desc);
create index run_by_label on stepwell.run using gin (labels jsonb_path_ops) where labels <> '{}';
-- views/runs_changed
create index run_changed on stepwell.run (changed, id);
-- views/runs_of_event
create index run_by_event on stepwell.run (event_id) where event_id is not null;
-- retention/prune_runs
create index run_ended on stepwell.run (ended_at) where ended_at is not null;
-- queue/expire_runs
create index run_deadline on stepwell.run (deadline) where deadline is not null and status = 'active';
create index run_start_by on stepwell.run (start_by) where start_by is not null and started_at is null and status = 'active';

-- The journal: append-only, in the order the run's lease holders wrote it.
-- No foreign key to run: the job row that fences every insert has one, and a second would lock the run row at each
-- step. retention/prune_runs deletes both in one statement.
create table stepwell.journal (
    run_id       uuid        not null,
    ordinal      integer     not null check (ordinal > 0),
    entry        text        not null check (entry in (
                     'step_completed', 'step_failed', 'step_skipped', 'attempt_failed', 'wait_started', 'wait_completed',
                     'run_completed', 'run_failed', 'run_cancelled', 'run_paused', 'run_resumed', 'lease_lost',
                     'compensation_started')),
    step         text,                              -- id incl. occurrence: name, name#2
    type         text,                              -- run, sleep, wait, call, http, sendEvent, compensate
    attempt      smallint    not null default 1,
    data         stepwell.json_text,
    error        stepwell.json_text,
    due          timestamptz,                       -- a wait's end, a failed attempt's next try
    called_at    timestamptz,                       -- the call to the app left
    app_ms       real,                              -- time spent in the app
    committed_at timestamptz not null default clock_timestamp(),
    outcome      text        check (outcome in ('due', 'event', 'timed_out')),  -- how a wait ended
    token        bigint,                            -- the lease under which it was accepted, and
    seq          integer,                           -- the exchange under that lease
    primary key (run_id, ordinal),
    check (step is not null or entry not in ('step_completed', 'step_failed', 'step_skipped', 'wait_started', 'wait_completed'))
);
-- R2: at most one accepted result per (run, step, occurrence)
create unique index journal_result on stepwell.journal (run_id, step) where entry in ('step_completed', 'step_failed', 'step_skipped', 'wait_completed');

-- One row per runnable or leased run and nothing else. Leased: owner, token and lease_until are set.
create table stepwell.job (
    run_id      uuid        primary key references stepwell.run on delete cascade,
    app_id      text        not null,
    priority    integer     not null default 0,
    due         timestamptz not null default now(),
    owner       uuid,
    token       bigint,
    lease_until timestamptz,
    woken       boolean     not null default false, -- something was resolved while leased: look before parking
    losses      smallint    not null default 0,     -- leases lost in a row
    refusals    smallint    not null default 0,     -- infrastructure failures in a row (drives their backoff)
    check ((owner is null) = (token is null) and (owner is null) = (lease_until is null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
-- queue/claim: the next due jobs of each app
create index job_claim on stepwell.job (app_id, priority desc, due, run_id) where owner is null;
-- queue/reap, queue/renew
create index job_lease on stepwell.job (lease_until) where owner is not null;

-- What a run is waiting for: a time, an event, or the end of a backoff. Resolved once; `due` is its timer.
create table stepwell.wait (
    run_id      uuid        not null references stepwell.run on delete cascade,
    step        text        not null,
    app_id      text        not null,
    type        text        not null check (type in ('sleep', 'wait', 'retry')),
    due         timestamptz,
    event_name  text,
    match       stepwell.json_text,
    created_at  timestamptz not null default clock_timestamp(),  -- only events accepted later count
    resolved_at timestamptz,
    outcome     text        check (outcome in ('due', 'event', 'timed_out')),
    data        stepwell.json_text,
    event_id    uuid,
    primary key (run_id, step),
    check ((resolved_at is null) = (outcome is null)),
    check ((type = 'wait') = (event_name is not null)),
    check (type = 'wait' or due is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
-- waits/due
create index wait_due on stepwell.wait (due) where resolved_at is null and due is not null;
-- waits/candidates
create index wait_by_event on stepwell.wait (app_id, event_name) where resolved_at is null and event_name is not null;

-- Duties that only one process at a time does, each claimed by a row lock for the length of a transaction.
create table stepwell.duty (
    name text primary key
);
insert into stepwell.duty (name) values ('timers'), ('retention');
