select from stepwell.duty where name = 'retention' for update skip locked
