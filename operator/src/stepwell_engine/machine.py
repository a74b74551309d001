"""The run's state machine.

Everything that affects the state of a run must live here in this file: the table below is the whole of it, the SQL
statements only guard what it allows, and the diagram in the docs is drawn from it (`python -m stepwell_engine.machine`).

A state is a status, and for active runs an activity. An event that has no row for a state is refused with one error that
names state, event and run. Time is not in the table: what is *due* is decided by the database before an event is raised.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum

from .errors import IllegalTransition
from .model import Activity, Status


class RunEvent(StrEnum):
    """What can happen to a run, in the past tense."""

    CLAIMED = "claimed"
    PROGRESSED = "progressed"
    SLEPT = "slept"
    WAITED = "waited"
    WOKEN = "woken"
    RELEASED = "released"
    LEASE_EXPIRED = "lease_expired"
    QUARANTINED = "quarantined"
    COMPENSATION_BEGAN = "compensation_began"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class State:
    status: Status
    activity: Activity | None = None

    def __str__(self) -> str:
        return self.activity.value if self.activity else self.status.value


QUEUED = State(Status.ACTIVE, Activity.QUEUED)
SCHEDULED = State(Status.ACTIVE, Activity.SCHEDULED)
EXECUTING = State(Status.ACTIVE, Activity.EXECUTING)
WAITING = State(Status.ACTIVE, Activity.WAITING)
SLEEPING = State(Status.ACTIVE, Activity.SLEEPING)
COMPENSATING = State(Status.ACTIVE, Activity.COMPENSATING)
PAUSED = State(Status.ACTIVE, Activity.PAUSED)
COMPLETED = State(Status.COMPLETED)
FAILED = State(Status.FAILED)
CANCELLED = State(Status.CANCELLED)

_E = RunEvent

TRANSITIONS: dict[State, dict[RunEvent, State]] = {
    SCHEDULED: {_E.CLAIMED: EXECUTING, _E.CANCELLED: CANCELLED, _E.FAILED: FAILED, _E.PAUSED: PAUSED},
    QUEUED: {
        _E.CLAIMED: EXECUTING,
        _E.COMPENSATION_BEGAN: COMPENSATING,
        _E.CANCELLED: CANCELLED,
        _E.FAILED: FAILED,
        _E.PAUSED: PAUSED,
    },
    EXECUTING: {
        _E.PROGRESSED: EXECUTING,
        _E.SLEPT: SLEEPING,
        _E.WAITED: WAITING,
        _E.RELEASED: QUEUED,
        _E.LEASE_EXPIRED: QUEUED,
        _E.QUARANTINED: PAUSED,
        _E.COMPENSATION_BEGAN: COMPENSATING,
        _E.COMPLETED: COMPLETED,
        _E.FAILED: FAILED,
        _E.CANCELLED: CANCELLED,
        _E.PAUSED: PAUSED,
    },
    SLEEPING: {_E.WOKEN: QUEUED, _E.CANCELLED: CANCELLED, _E.FAILED: FAILED, _E.PAUSED: PAUSED},
    WAITING: {_E.WOKEN: QUEUED, _E.CANCELLED: CANCELLED, _E.FAILED: FAILED, _E.PAUSED: PAUSED},
    COMPENSATING: {
        _E.PROGRESSED: COMPENSATING,
        _E.SLEPT: SLEEPING,
        _E.RELEASED: QUEUED,
        _E.LEASE_EXPIRED: QUEUED,
        _E.QUARANTINED: PAUSED,
        _E.FAILED: FAILED,
        _E.CANCELLED: CANCELLED,
    },
    PAUSED: {_E.RESUMED: QUEUED, _E.CANCELLED: CANCELLED, _E.FAILED: FAILED},
    COMPLETED: {},
    FAILED: {},
    CANCELLED: {},
}


def decide(state: State, event: RunEvent, *, run: object = "?") -> State:
    """The state after `event`. Raises IllegalTransition when the table has no row for it."""
    after = TRANSITIONS[state].get(event)
    if after is None:
        allowed = ", ".join(TRANSITIONS[state]) or "nothing: it has ended"
        raise IllegalTransition(f"run {run} is {state}: {event.value!r} can't happen to it (what can: {allowed})")
    return after


def sources(event: RunEvent) -> tuple[State, ...]:
    """The states in which `event` can happen: the guard of the SQL statement that performs it."""
    return tuple(state for state, row in TRANSITIONS.items() if event in row)


def diagram() -> str:
    """The table as a mermaid state diagram."""
    edges: dict[tuple[State, State], list[str]] = {}
    for state, row in TRANSITIONS.items():
        for event, after in row.items():
            edges.setdefault((state, after), []).append(event.value)
    lines = ["stateDiagram-v2", "    [*] --> queued", "    [*] --> scheduled"]
    lines += [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in edges.items()]
    lines += [f"    {state} --> [*]" for state, row in TRANSITIONS.items() if not row]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(f"```mermaid\n{diagram()}\n```\n")
