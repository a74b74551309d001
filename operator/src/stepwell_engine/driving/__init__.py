"""What a worker does with a run it has leased.

`leased.LeasedRun` holds the run's journal in memory for as long as the lease lasts, so that going on costs no read.
`answers` turns what an app answered into the one exchange to commit; it is pure. `function` and `workflow` are the loops:
call, turn, commit, go on. First journal, then act: the next call leaves only after the commit of the answer before it.
"""
