"""Rows of the read model as shapes of the API. Pure."""

import json
from typing import Any, Protocol

from stepwell_engine.journal import summaries as rows

from . import outline, schemas

#: After how many failed probes in a row an endpoint counts as unreachable (the app's `EndpointReachable`).
_FAILURES = 3


class _Owned(Protocol):
    @property
    def app_id(self) -> str: ...
    @property
    def app_namespace(self) -> str: ...
    @property
    def app_name(self) -> str: ...
    @property
    def environment(self) -> str: ...


def app_ref(row: _Owned) -> schemas.AppRef:
    return schemas.AppRef(id=row.app_id, namespace=row.app_namespace, name=row.app_name, environment=row.environment)


def text(raw: bytes) -> str:
    """A payload, perhaps cut in the middle of a character, which is then left out."""
    return raw.decode(errors="ignore")


def payload(raw: bytes | None, size: int | None) -> schemas.Payload | None:
    if raw is None or size is None:
        return None
    return schemas.Payload(text=text(raw), size=size, truncated=size > len(raw))


def error(raw: bytes | None) -> schemas.ErrorData | None:
    if raw is None:
        return None
    try:
        found: Any = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return schemas.ErrorData(name="Error", message=text(raw))
    stack, retryable = found.get("stack"), found.get("retryable")
    return schemas.ErrorData(
        name=str(found.get("name") or "Error"),
        message=str(found.get("message") or ""),
        stack=stack if isinstance(stack, str) else None,
        retryable=retryable if isinstance(retryable, bool) else None,
    )


def run(row: rows.RunSummary) -> schemas.Run:
    pending = None
    if row.pending_step is not None and row.pending_type is not None:
        pending = schemas.Pending(
            step=row.pending_step, type=row.pending_type, event=row.pending_event, due=row.pending_due
        )
    return schemas.Run.model_validate(
        {
            "id": row.id,
            "app": app_ref(row),
            "definition_id": row.definition_id,
            "kind": row.kind,
            "definition": row.name,
            "revision": row.revision,
            "status": row.status,
            "activity": row.activity,
            "reason": row.reason,
            "trigger": row.trigger,
            "event": None if row.event_name.startswith("$") else schemas.EventRef(id=row.event_id, name=row.event_name),
            "labels": row.labels,
            "error": error(row.error),
            "steps": row.steps,
            "pending": pending,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
            "rerun_of": row.rerun_of,
        }
    )


def entry(row: rows.JournalEntry) -> schemas.Entry:
    return schemas.Entry(
        ordinal=row.ordinal,
        entry=row.entry,
        step=row.step,
        type=row.type,
        attempt=row.attempt,
        data=payload(row.data, row.data_size),
        error=error(row.error),
        due=row.due,
        called_at=row.called_at,
        app_ms=row.app_ms,
        committed_at=row.committed_at,
    )


def change(record: rows.RunRecord) -> schemas.RunChange:
    return schemas.RunChange.model_validate(_change(record))


def detail(record: rows.RunRecord) -> schemas.RunDetail:
    plan = outline.steps(outline.parse(record.payloads.document))
    given = payload(record.payloads.input, record.payloads.input_size)
    return schemas.RunDetail.model_validate({**_change(record), "input": given, "plan": plan})


def _change(record: rows.RunRecord) -> dict[str, object]:
    return {
        "run": run(record.run),
        "output": payload(record.payloads.output, record.payloads.output_size),
        "error": payload(record.payloads.error, record.payloads.error_size),
        "entries": [entry(row) for row in record.entries],
        "waits": [
            schemas.Wait(
                step=row.step,
                type=row.type,
                event=row.event_name,
                match=None if row.match is None else text(row.match),
                due=row.due,
                created_at=row.created_at,
            )
            for row in record.waits
        ],
        "ordinal": record.ordinal,
        "more": record.more,
        "server_time": record.read_at,
    }


def app(row: rows.AppSummary) -> schemas.App:
    sdk = " ".join(str(row.sdk[part]) for part in ("name", "version", "language") if row.sdk.get(part))
    return schemas.App(
        id=row.id,
        namespace=row.namespace,
        name=row.name,
        environment=row.environment,
        url=row.url,
        reachable=None if row.probed_at is None else row.probe_failures < _FAILURES,
        probe_failures=row.probe_failures,
        probe_error=row.probe_error,
        probed_at=row.probed_at,
        protocol=row.protocol,
        checkpointing=row.checkpointing,
        timed_signature_only=row.timed_signature_only,
        max_in_flight=row.max_in_flight,
        sdk=sdk or None,
        functions=row.functions,
        workflows=row.workflows,
        schedules=row.schedules,
        active_runs=row.active_runs,
        backlog=row.backlog,
        created_at=row.created_at,
    )


def definition(row: rows.DefinitionSummary) -> schemas.Definition:
    return schemas.Definition.model_validate(_definition(row))


def definition_detail(row: rows.DefinitionSummary, revisions: list[schemas.Revision]) -> schemas.DefinitionDetail:
    shown = {**_definition(row), "document": text(row.document), "revisions": revisions}
    return schemas.DefinitionDetail.model_validate(shown)


def revision(row: rows.RevisionSummary) -> schemas.Revision:
    return schemas.Revision(number=row.number, document=text(row.document), created_at=row.created_at)


def _definition(row: rows.DefinitionSummary) -> dict[str, object]:
    document = outline.parse(row.document)
    return {
        "id": row.id,
        "app": app_ref(row),
        "kind": row.kind,
        "name": row.name,
        "revision": row.revision,
        "source": row.source,
        "resource": row.resource_name,
        "suspended": row.suspended,
        "retired": row.retired_at is not None,
        "triggers": outline.triggers(document),
        "steps": outline.steps(document),
        "recent": row.recent,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def event(row: rows.EventSummary) -> schemas.Event:
    return schemas.Event.model_validate(
        {
            "id": row.id,
            "app": app_ref(row),
            "external_id": row.external_id,
            "name": row.name,
            "data": payload(row.data, row.data_size),
            "accepted_at": row.accepted_at,
            "routed": not row.unrouted,
            "runs": row.runs,
        }
    )


def schedule(row: rows.ScheduleSummary) -> schemas.Schedule:
    document = outline.parse(row.document)
    zone = document.get("timeZone")
    last = None
    if row.last_run is not None:
        last = {"id": row.last_run, "status": row.last_status, "activity": row.last_activity}
    return schemas.Schedule.model_validate(
        {
            "id": row.id,
            "app": app_ref(row),
            "name": row.name,
            "source": row.source,
            "rule": outline.rule(document),
            "time_zone": str(zone) if zone else None,
            "target_kind": row.target_kind,
            "target": row.target_name,
            "definition_id": row.definition_id,
            "suspended": row.suspended,
            "next_at": row.next_at,
            "last_at": row.last_at,
            "last_run": last,
        }
    )
