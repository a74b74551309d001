"""Background duties, one small file each. They don't know one another: they meet in the journal.

`service` is the life that all of them share. Any number of processes may run any of them: each duty is claimed by row locks.
"""
