-- One timer service at a time: two would wake the same runs twice. Whoever finds the row locked leaves it to the other.
select from stepwell.duty where name = 'timers' for update skip locked
