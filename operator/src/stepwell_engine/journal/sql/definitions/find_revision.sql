-- An earlier revision with the same document is taken up again instead of being written anew.
select number from stepwell.revision
where definition_id = %(id)s and document = %(document)s
order by number desc limit 1
