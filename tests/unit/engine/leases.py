"""Leased runs without a database: what the pure parts of driving work on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from stepwell_engine.driving.leased import LeasedRun
from stepwell_engine.journal.queue import Lease
from stepwell_engine.model import Entry, Kind, PendingWait, Step

RUN = UUID("018f0000-0000-7000-8000-000000000001")
NOW = datetime(2026, 7, 5, 9, tzinfo=UTC)
LEASE = timedelta(seconds=30)


def journaled(*entries: tuple[Entry, dict[str, Any]]) -> list[Step]:
    """Journal rows in order, numbered from 1."""
    columns: dict[str, Any] = {
        "step": None,
        "type": "run",
        "attempt": 1,
        "data": None,
        "error": None,
        "due": None,
        "committed_at": NOW,
    }
    return [
        Step(**{**columns, "run_id": RUN, "ordinal": ordinal, "entry": entry, **given})
        for ordinal, (entry, given) in enumerate(entries, 1)
    ]


def waiting(step: str, type: str, *, due: datetime | None = None) -> PendingWait:
    return PendingWait(run_id=RUN, step=step, type=type, due=due)


def leased(
    entries: Sequence[Step] = (),
    waits: Sequence[PendingWait] = (),
    *,
    asked_at: float = 100.0,
    lease: timedelta = LEASE,
    **given: Any,
) -> LeasedRun:
    claimed: dict[str, Any] = {
        "run_id": RUN,
        "token": 7,
        "lease_until": NOW + lease,
        "now": NOW,
        "losses": 0,
        "refusals": 0,
        "app_id": "app_shop",
        "definition_id": 1,
        "kind": Kind.FUNCTION,
        "name": "work",
        "revision": 1,
        "event_ref": "event-1",
        "event_name": "go",
        "input": b"{}",
        "cancel_requested": False,
        "deadline": None,
        "generation": 1,
        "entries": entries,
        "waits": waits,
    }
    return LeasedRun(Lease(**{**claimed, **given}), asked_at=asked_at, lease_length=lease)
