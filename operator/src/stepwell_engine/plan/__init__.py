"""Walks a workflow's declared steps. The contract between the plan and whoever drives it:

1. The driver holds the run's lease, reads the journal and writes what it finds there as a `PlanState`.
2. `advance(spec, state, now=…)` says what to do next: a tuple of actions, all of which may run at the same time.
3. The driver carries them out, journals what comes of them, writes that into the state, and asks again.

        CallStep, HttpStep     make the call; journal step_completed, or by `retry.decide` attempt_failed or step_failed
        StartSleep, StartWait  put the timer or the wait on record; its end is journaled as wait_completed
        SkipStep, FailStep     nothing to call: journal step_skipped or step_failed (with what follows, if you like)
        Complete, Fail, Cancel the run's end; always alone

No actions: there is nothing to do before one of the steps in `state.pending` is settled. A step in flight, in backoff,
sleeping or waiting is pending and is never asked for again while it is; a step that is neither settled nor pending (a
crash, a backoff that is over) is asked for anew, under the same name and with the same input.

What `advance` promises:

- Pure. The same journal gives the same actions, in whatever order parallel steps were settled and however often the
  process died in between. Only the due time of a new sleep or wait depends on `now`, and that is journaled when it
  starts.
- Steps run one after another; the branches of a `parallel` side by side. A step whose `if` is false is skipped: its
  output is null. Expressions are evaluated when their step starts; one that fails on the data fails the step, without
  retries.
- A step without `with` receives the run's input.
- When a step has failed for good, siblings that run beside it are let finish, nothing new starts, and then the
  completed steps are compensated: those that have a `compensate`, the latest in the journal first, one at a time,
  each under the name `compensate:<step>`. A step with an attempt that timed out may have had its effect, so it is
  compensated too. A compensation that fails for good does not stop the others; the run's error names it.
- `state.stop` (cancel, or the run's timeout) is the same, for a reason from outside: it waits for calls in flight,
  and its outcome wins over a failure. The driver withdraws sleeps, waits and backoffs, so that only calls remain
  pending.
"""

from .actions import (
    Action,
    Advance,
    CallStep,
    Cancel,
    Complete,
    Fail,
    FailStep,
    HttpStep,
    SkipStep,
    StartSleep,
    StartWait,
)
from .compensation import PREFIX as COMPENSATION_PREFIX
from .state import Completed, Failed, PlanState, Result, Skipped, Stop
from .walk import advance

__all__ = [
    "COMPENSATION_PREFIX",
    "Action",
    "Advance",
    "CallStep",
    "Cancel",
    "Complete",
    "Completed",
    "Fail",
    "FailStep",
    "Failed",
    "HttpStep",
    "PlanState",
    "Result",
    "SkipStep",
    "Skipped",
    "StartSleep",
    "StartWait",
    "Stop",
    "advance",
]
