"""The figures above the list: runs by state, and by minute for the last half hour.

Counting reads an index from end to end, so an answer is kept for as long as twenty times what it took to get (at least
a second), and only one request at a time asks anew: any number of viewers costs the database the same.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stepwell_engine.journal import Views
from stepwell_engine.journal.summaries import MinuteCount

from . import schemas
from .clock import first_id_of, now

MINUTES = 30
_MOST_APPS = 256


@dataclass(slots=True)
class _Kept:
    stats: schemas.Stats | None = None
    until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Figures:
    def __init__(self, views: Views) -> None:
        self._views = views
        self._kept: dict[str | None, _Kept] = {}

    async def of(self, app: str | None) -> schemas.Stats:
        if len(self._kept) > _MOST_APPS:
            self._kept.clear()
        kept = self._kept.setdefault(app, _Kept())
        async with kept.lock:
            began = time.monotonic()
            if kept.stats is None or began >= kept.until:
                kept.stats = await self._count(app)
                took = time.monotonic() - began
                kept.until = began + took + max(1.0, 20 * took)
            return kept.stats

    async def _count(self, app: str | None) -> schemas.Stats:
        at = now()
        first = at.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
        counts = await self._views.count_runs(app=app)
        by_minute = await self._views.throughput(since=first_id_of(first), app=app)
        return schemas.Stats(
            counts=[
                schemas.StateCount.model_validate({"status": row.status, "activity": row.activity, "runs": row.runs})
                for row in counts
            ],
            minutes=minutes(first, by_minute),
            server_time=at,
        )


def minutes(first: datetime, rows: Sequence[MinuteCount]) -> list[schemas.Minute]:
    """Every minute from `first` on, those without runs too."""
    found = {(row.minute, row.status): row.runs for row in rows}
    instants = [first + timedelta(minutes=index) for index in range(MINUTES)]
    statuses = ("active", "completed", "failed", "cancelled")
    return [
        schemas.Minute.model_validate({"at": at} | {status: found.get((at, status), 0) for status in statuses})
        for at in instants
    ]
