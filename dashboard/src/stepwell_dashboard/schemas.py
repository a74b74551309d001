"""The shapes of the API, one model each; the OpenAPI document and the page's types are generated from them.

Members are camelCase, instants are UTC, ids are text. A payload is text with its whole size: exactly the bytes that were
journaled, cut after `preview` bytes, and never parsed here.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

Instant = Annotated[datetime, BeforeValidator(lambda at: at.astimezone(UTC) if isinstance(at, datetime) else at)]
Status = Literal["active", "completed", "failed", "cancelled"]
Activity = Literal["queued", "scheduled", "executing", "waiting", "sleeping", "compensating", "paused"]
Kind = Literal["function", "workflow"]


class Shape(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        json_schema_serialization_defaults_required=True,
    )


class Payload(Shape):
    text: str
    size: int
    truncated: bool


class ErrorData(Shape):
    name: str
    message: str
    stack: str | None = None
    retryable: bool | None = None


class AppRef(Shape):
    id: str
    namespace: str
    name: str
    environment: str


class EventRef(Shape):
    id: UUID | None
    name: str


class Pending(Shape):
    """The first thing an active run waits for. `type`: sleep, wait or retry."""

    step: str
    type: str
    event: str | None
    due: Instant | None


class Run(Shape):
    id: UUID
    app: AppRef
    definition_id: int
    kind: Kind
    definition: str
    revision: int
    status: Status
    activity: Activity | None
    reason: str | None
    trigger: str
    event: EventRef | None
    labels: dict[str, str]
    error: ErrorData | None
    steps: int
    pending: Pending | None
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    rerun_of: UUID | None


class RunList(Shape):
    """`next`: what `before` must be for the following page. `cursor`: where a stream must begin to miss nothing."""

    items: list[Run]
    next: UUID | None
    cursor: str
    server_time: Instant


class Entry(Shape):
    ordinal: int
    entry: str
    step: str | None
    type: str | None
    attempt: int
    data: Payload | None
    error: ErrorData | None
    due: Instant | None
    called_at: Instant | None
    app_ms: float | None
    committed_at: Instant


class Wait(Shape):
    step: str
    type: str
    event: str | None
    match: str | None
    due: Instant | None
    created_at: Instant


class PlannedStep(Shape):
    """A declared step of a workflow. `depth` counts the lists it is nested in."""

    name: str
    kind: str
    summary: str
    depth: int
    parent: str | None
    declaration: str


class RunChange(Shape):
    """A run as it is now and what was journaled after the ordinal asked for. `more`: the next part is ready."""

    run: Run
    output: Payload | None
    error: Payload | None
    entries: list[Entry]
    waits: list[Wait]
    ordinal: int
    more: bool
    server_time: Instant


class RunDetail(RunChange):
    input: Payload
    plan: list[PlannedStep]


class RunsChange(Shape):
    """What a list's stream tells: runs that match its filter now, and the ids of those that don't."""

    runs: list[Run]
    left: list[UUID]
    server_time: Instant


class Started(Shape):
    id: UUID
    created: bool = True


class Cancelled(Shape):
    """`compensating`: the workflow undoes its completed steps first."""

    outcome: Literal["cancelled", "compensating"]


class AcceptedEvent(Shape):
    id: UUID
    runs: list[UUID]
    duplicate: bool


class StateCount(Shape):
    status: Status
    activity: Activity | None
    runs: int


class Minute(Shape):
    at: Instant
    active: int
    completed: int
    failed: int
    cancelled: int


class Stats(Shape):
    counts: list[StateCount]
    minutes: list[Minute]
    server_time: Instant


class App(Shape):
    """`reachable`: null until the endpoint was probed; false after three failures in a row."""

    id: str
    namespace: str
    name: str
    environment: str
    url: str | None
    reachable: bool | None
    probe_failures: int
    probe_error: str | None
    probed_at: Instant | None
    protocol: int
    checkpointing: bool
    timed_signature_only: bool
    max_in_flight: int
    sdk: str | None
    functions: int
    workflows: int
    schedules: int
    active_runs: int
    backlog: int
    created_at: Instant


class AppList(Shape):
    items: list[App]


class RecentRun(Shape):
    id: UUID
    status: Status
    activity: Activity | None
    seconds: float


class TriggerText(Shape):
    type: str
    text: str


class Definition(Shape):
    id: int
    app: AppRef
    kind: Kind
    name: str
    revision: int
    source: str
    resource: str | None
    suspended: bool
    retired: bool
    triggers: list[TriggerText]
    steps: list[PlannedStep]
    recent: list[RecentRun]
    created_at: Instant
    updated_at: Instant


class DefinitionList(Shape):
    items: list[Definition]


class Revision(Shape):
    number: int
    document: str
    created_at: Instant


class DefinitionDetail(Definition):
    document: str
    revisions: list[Revision]


class StartedRun(Shape):
    id: UUID
    kind: Kind
    definition: str
    status: Status
    activity: Activity | None


class Event(Shape):
    id: UUID
    app: AppRef
    external_id: str
    name: str
    data: Payload
    accepted_at: Instant
    routed: bool
    runs: list[StartedRun]


class EventList(Shape):
    items: list[Event]
    next: UUID | None


class LastRun(Shape):
    id: UUID
    status: Status | None
    activity: Activity | None


class Schedule(Shape):
    id: int
    app: AppRef
    name: str
    source: str
    rule: str
    time_zone: str | None
    target_kind: Kind | None
    target: str | None
    definition_id: int | None
    suspended: bool
    next_at: Instant | None
    last_at: Instant | None
    last_run: LastRun | None


class ScheduleList(Shape):
    items: list[Schedule]
    server_time: Instant


class Session(Shape):
    """`required`: this dashboard has an admin token. `signedIn`: this client may use it."""

    required: bool
    signed_in: bool


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
