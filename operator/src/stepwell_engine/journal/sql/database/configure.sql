-- Set on each new connection. What a frozen process has locked is free again after this long. And every statement goes by an
-- index: a plan is kept for as long as its connection lives, and one that was made while a table was nearly empty would read
-- all of it later, until its statistics are renewed; those of a queue are always out of date.
select set_config('idle_in_transaction_session_timeout', '10s', false), set_config('enable_seqscan', 'off', false)
