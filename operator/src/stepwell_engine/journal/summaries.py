"""What the views answer with: rows of the read model as frozen values.

A payload comes as its beginning and its whole size, never all of it: a page of a thousand steps stays small, and the
whole bytes are asked for one at a time. `changed` is the id of the transaction that last touched a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

#: The greatest uuid: a cursor that stands behind every run of one transaction.
LAST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the order of all changes: everything up to and including (changed, id) has been seen."""

    changed: int
    id: UUID

    def __str__(self) -> str:
        return f"{self.changed}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises ValueError when `text` is not a cursor that `str` made."""
        changed, _, identity = text.partition("-")
        if not (changed.isascii() and changed.isdigit()) or int(changed) >= 1 << 63:
            raise ValueError(f"{text!r} is not a cursor")
        return cls(int(changed), UUID(identity))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    id: UUID
    app_id: str
    app_namespace: str
    app_name: str
    environment: str
    definition_id: int
    kind: str
    name: str
    revision: int
    status: str
    activity: str | None
    reason: str | None
    trigger: str
    event_id: UUID | None
    event_name: str
    labels: Mapping[str, str]
    rerun_of: UUID | None
    steps: int
    error: bytes | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    changed: int
    pending_step: str | None
    pending_type: str | None
    pending_event: str | None
    pending_due: datetime | None

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.changed, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPayloads:
    input: bytes
    input_size: int
    output: bytes | None
    output_size: int | None
    error: bytes | None
    error_size: int | None
    document: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    ordinal: int
    entry: str
    step: str | None
    type: str | None
    attempt: int
    data: bytes | None
    data_size: int | None
    error: bytes | None
    due: datetime | None
    called_at: datetime | None
    app_ms: float | None
    committed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    step: str
    type: str
    event_name: str | None
    match: bytes | None
    due: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run and its journal after some ordinal, read in one snapshot. `ordinal` is where to go on; `more`: at once."""

    run: RunSummary
    payloads: RunPayloads
    entries: Sequence[JournalEntry]
    waits: Sequence[OpenWait]
    ordinal: int
    more: bool
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TailRow:
    run_id: UUID | None
    ordinal: int
    changed: int
    changed_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCount:
    status: str
    activity: str | None
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteCount:
    minute: datetime
    status: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSummary:
    id: str
    namespace: str
    name: str
    environment: str
    url: str | None
    protocol: int
    checkpointing: bool
    timed_signature_only: bool
    max_in_flight: int
    sdk: Mapping[str, object]
    probe_failures: int
    probe_error: str | None
    probed_at: datetime | None
    created_at: datetime
    functions: int
    workflows: int
    schedules: int
    active_runs: int
    backlog: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionSummary:
    id: int
    app_id: str
    app_namespace: str
    app_name: str
    environment: str
    kind: str
    name: str
    revision: int
    source: str
    resource_name: str | None
    suspended: bool
    retired_at: datetime | None
    created_at: datetime
    updated_at: datetime
    document: bytes
    recent: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionSummary:
    number: int
    document: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary:
    id: UUID
    app_id: str
    app_namespace: str
    app_name: str
    environment: str
    external_id: str
    name: str
    data: bytes
    data_size: int
    accepted_at: datetime
    unrouted: bool
    runs: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSummary:
    id: int
    app_id: str
    app_namespace: str
    app_name: str
    environment: str
    name: str
    source: str
    document: bytes
    suspended: bool
    next_at: datetime | None
    last_at: datetime | None
    last_run: UUID | None
    last_status: str | None
    last_activity: str | None
    definition_id: int | None
    target_kind: str | None
    target_name: str | None
