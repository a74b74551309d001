-- Due jobs that nobody has leased, counted up to a bound: what an autoscaler and a metric want to know.
select count(*) from (select 1 from stepwell.job where owner is null and due <= now() limit 100000) t
