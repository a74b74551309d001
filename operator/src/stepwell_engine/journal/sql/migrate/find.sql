select checksum from stepwell.migration where number = %(number)s
