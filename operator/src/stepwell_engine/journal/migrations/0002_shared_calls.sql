-- What an app says of itself: it takes a request with several calls.
alter table stepwell.app add column shared_calls boolean not null default false;
