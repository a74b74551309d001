"""Runs put straight into the tables, at any time in the past and in any state: what no engine could make on demand.

The schema's own constraints refuse what an engine could not have written. Each row is committed at once unless the caller
opens a transaction on `connection`.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from stepwell_engine.sealing import Sealer

#: What seals the signing keys of staged apps.
DATA_KEY = bytes(32)

_serial = itertools.count(1)


def uuid7(at: datetime) -> UUID:
    """Unique, and in the order of `at`."""
    millis = int(at.timestamp() * 1000)
    return UUID(
        int=(millis << 80) | (0x7 << 76) | (next(_serial) & 0xFFF) << 64 | (0b10 << 62) | uuid4().int & ((1 << 62) - 1)
    )


def encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(slots=True, kw_only=True)
class StagedRun:
    """A run being told: `entry` appends to its journal, `to` changes its state."""

    connection: psycopg.Connection[Any]
    id: UUID
    created_at: datetime
    ordinal: int = 0
    results: int = 0

    def entry(self, entry: str, *, at: datetime | None = None, **columns: object) -> int:
        """Journal an entry; `data` and `error` are values, `app_ms` ends at `at`. Answers the ordinal."""
        self.ordinal += 1
        at = at or datetime.now(UTC)
        app_ms = columns.get("app_ms")
        if isinstance(app_ms, int | float) and "called_at" not in columns:
            columns["called_at"] = at - timedelta(milliseconds=app_ms + 3)
        for payload in ("data", "error"):
            if payload in columns:
                columns[payload] = encoded(columns[payload])
        row = {
            "run_id": self.id,
            "ordinal": self.ordinal,
            "entry": entry,
            "committed_at": at,
            "token": 1,
            "seq": 1,
            **columns,
        }
        insert(self.connection, "journal", row)
        self.results += entry in ("step_completed", "step_failed", "wait_completed")
        return self.ordinal

    def wait(
        self, step: str, *, type: str, due: datetime | None = None, event: str | None = None, match: object = None
    ) -> None:
        app = self.connection.execute("select app_id from stepwell.run where id = %s", [self.id]).fetchone()
        assert app is not None
        matched = None if match is None else encoded(match)
        insert(
            self.connection,
            "wait",
            {
                "run_id": self.id,
                "step": step,
                "app_id": app[0],
                "type": type,
                "due": due,
                "event_name": event,
                "match": matched,
            },
        )

    def to(self, status: str, *, activity: str | None = None, at: datetime | None = None, **columns: object) -> None:
        for payload in ("output", "error"):
            if payload in columns:
                columns[payload] = encoded(columns[payload])
        ended = None if status == "active" else at or datetime.now(UTC)
        values = {"status": status, "activity": activity, "ended_at": ended, "steps": self.results, **columns}
        names = ", ".join(f"{name} = %({name})s" for name in values)
        self.connection.execute(
            f"update stepwell.run set {names}, changed = pg_current_xact_id() where id = %(id)s",
            {**values, "id": self.id},
        )
        if status != "active":
            self.connection.execute("delete from stepwell.wait where run_id = %s", [self.id])


@dataclass(slots=True)
class Stage:
    connection: psycopg.Connection[Any]
    definitions: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def app(self, name: str, *, environment: str = "dev", namespace: str = "", **columns: object) -> str:
        app_id = f"app_{uuid4().hex[-12:]}"
        sealed = Sealer(DATA_KEY).seal(("a-signing-key",), app_id=app_id)
        row = {"id": app_id, "namespace": namespace, "name": name, "environment": environment, "signing_keys": sealed}
        insert(self.connection, "app", {**row, **columns})
        return app_id

    def definition(self, app: str, *, kind: str, name: str, document: Mapping[str, object] | None = None) -> int:
        found = self.definitions.get((app, kind, name))
        if found is not None:
            return found
        row = {"app_id": app, "kind": kind, "name": name, "active_revision": 1, "source": "sync"}
        definition = int(insert(self.connection, "definition", row, returning="id"))
        insert(
            self.connection, "revision", {"definition_id": definition, "number": 1, "document": encoded(document or {})}
        )
        self.definitions[app, kind, name] = definition
        return definition

    def event(self, app: str, name: str, *, data: object = None, at: datetime | None = None) -> UUID:
        at = at or datetime.now(UTC)
        event_id = uuid7(at)
        row = {"id": event_id, "app_id": app, "external_id": str(event_id), "name": name, "data": encoded(data)}
        insert(self.connection, "event", {**row, "accepted_at": at, "unrouted": False})
        return event_id

    def run(
        self,
        app: str,
        name: str,
        *,
        kind: str = "function",
        activity: str = "queued",
        at: datetime | None = None,
        event: tuple[UUID, str] | None = None,
        input: object = None,
        labels: Mapping[str, str] | None = None,
        **columns: object,
    ) -> StagedRun:
        at = at or datetime.now(UTC)
        run_id = uuid7(at)
        row: dict[str, object] = {
            "id": run_id,
            "app_id": app,
            "definition_id": self.definition(app, kind=kind, name=name),
            "kind": kind,
            "name": name,
            "revision": 1,
            "activity": activity,
            "trigger": "event" if event else "manual",
            "event_id": event[0] if event else None,
            "event_ref": str(event[0] if event else run_id),
            "event_name": event[1] if event else "$start",
            "input": encoded(input),
            "labels": Jsonb(dict(labels or {})),
            "created_at": at,
            **columns,
        }
        insert(self.connection, "run", row)
        return StagedRun(connection=self.connection, id=run_id, created_at=at)


def insert(connection: psycopg.Connection[Any], table: str, row: Mapping[str, object], *, returning: str = "1") -> Any:
    """The value of `returning` from the new row."""
    names, values = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    statement = f"insert into stepwell.{table} ({names}) values ({values}) returning {returning}"
    found = connection.execute(statement, row).fetchone()
    assert found is not None
    return found[0]
