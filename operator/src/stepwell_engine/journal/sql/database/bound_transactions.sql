-- Set on each new connection: what a frozen process has locked is free again after this long.
set idle_in_transaction_session_timeout = '10s'
