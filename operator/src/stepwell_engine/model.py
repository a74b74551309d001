"""The engine's nouns as frozen values. No behaviour beyond what a value can say of itself; aware datetimes only.

The words are the glossary's, the same in SQL, in the resources, on the wire and on the page.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Status(StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Activity(StrEnum):
    """What an active run is doing. None of `waiting`, `sleeping`, `paused` holds a worker or a slot."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    EXECUTING = "executing"
    WAITING = "waiting"
    SLEEPING = "sleeping"
    COMPENSATING = "compensating"
    PAUSED = "paused"


class Kind(StrEnum):
    FUNCTION = "function"
    WORKFLOW = "workflow"


class Trigger(StrEnum):
    EVENT = "event"
    CRON = "cron"
    SCHEDULE = "schedule"
    HTTP = "http"
    MANUAL = "manual"
    RERUN = "rerun"
    COMPLETION = "completion"


class Entry(StrEnum):
    """What a row of the journal records."""

    STEP_COMPLETED = "step_completed"
    STEP_FAILED = "step_failed"
    STEP_SKIPPED = "step_skipped"
    ATTEMPT_FAILED = "attempt_failed"
    WAIT_STARTED = "wait_started"
    WAIT_COMPLETED = "wait_completed"
    RUN_COMPLETED = "run_completed"
    RUN_FAILED = "run_failed"
    RUN_CANCELLED = "run_cancelled"
    RUN_PAUSED = "run_paused"
    RUN_RESUMED = "run_resumed"
    LEASE_LOST = "lease_lost"
    COMPENSATION_STARTED = "compensation_started"


#: Between a lease's end and the last start of anything under it, for the network and for clocks: an app's may be off by so much.
MARGIN = timedelta(seconds=2)

#: Entries that settle a step: at most one of them per (run, step, occurrence).
RESULTS = frozenset({Entry.STEP_COMPLETED, Entry.STEP_FAILED, Entry.STEP_SKIPPED, Entry.WAIT_COMPLETED})


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """What a StepwellApp (or `/api/apps`) declares. `signing_keys`: the current one first, at most one previous."""

    namespace: str = ""
    name: str
    environment: str = "dev"
    resource_uid: str | None = None
    url: str | None = None
    signing_keys: tuple[str, ...] = ()
    step_timeout: timedelta = timedelta(seconds=30)
    max_in_flight: int = 200
    retention_completed: timedelta = timedelta(days=30)
    retention_failed: timedelta = timedelta(days=90)
    timed_signature_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    id: str
    namespace: str
    name: str
    environment: str
    resource_uid: str | None
    url: str | None
    signing_keys: tuple[str, ...] = field(repr=False)
    protocol: int
    timed_signature_only: bool
    checkpointing: bool
    shared_calls: bool
    step_timeout: timedelta
    max_in_flight: int
    sdk: Mapping[str, object]
    probe_failures: int
    probe_error: str | None
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    id: int
    app_id: str
    kind: Kind
    name: str
    revision: int
    source: str
    resource_uid: str | None
    suspended: bool
    retired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event on its way in. `data` is the JSON text as received, already strictly parsed.
    `deduplicate` is the sender's id for it; absent: every sending is a new event. `once`: the signature of the request that
    brings it, which may not come twice."""

    app_id: str
    name: str
    data: bytes
    deduplicate: str | None = None
    once: str | None = None

    @property
    def key(self) -> str | None:
        """What may be accepted once."""
        return self.deduplicate or self.once


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An event on record. `duplicate`: it was already, and `run_ids` are the runs it started then. `awaited`: runs may wait for it,
    which is found out by matching."""

    event_id: UUID
    run_ids: tuple[UUID, ...]
    duplicate: bool
    awaited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    app_id: str
    definition_id: int
    kind: Kind
    name: str
    revision: int
    trigger: Trigger
    event_ref: str
    event_name: str
    input: bytes
    event_id: UUID | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    rerun_of: UUID | None = None
    run_timeout: timedelta | None = None
    start_timeout: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One journal row of a run, as it is read back when a lease begins."""

    run_id: UUID
    ordinal: int
    entry: Entry
    step: str | None
    type: str | None
    attempt: int
    data: bytes | None
    error: bytes | None
    due: datetime | None
    committed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingWait:
    run_id: UUID
    step: str
    type: str
    due: datetime | None
