insert into stepwell.migration (number, name, checksum) values (%(number)s, %(name)s, %(checksum)s)
