"""Which runs a list shows. The same filter as a query's arguments and as a pure predicate over one run.

Both must agree: a list is read by the query, and what the stream adds to it or takes from it is told by the predicate.
A test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from psycopg.types.json import Jsonb

from .summaries import RunSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Empty fields match every run. `id_prefix`: the beginning of a run id, in hex, dashes or not."""

    status: tuple[str, ...] = ()
    activity: tuple[str, ...] = ()
    kind: str | None = None
    app: str | None = None
    definition: str | None = None
    event: str | None = None
    event_id: UUID | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    id_prefix: str = ""

    def arguments(self) -> dict[str, object]:
        lowest, highest = self._range()
        return {
            "status": list(self.status) or None,
            "activity": list(self.activity) or None,
            "kind": self.kind,
            "app": self.app,
            "definition": self.definition,
            "event": self.event,
            "event_id": self.event_id,
            "labels": Jsonb(dict(self.labels)) if self.labels else None,
            "lowest": lowest,
            "highest": highest,
        }

    def matches(self, run: RunSummary) -> bool:
        lowest, highest = self._range()
        return (
            (not self.status or run.status in self.status)
            and (not self.activity or run.activity in self.activity)
            and (self.kind is None or run.kind == self.kind)
            and (self.app is None or run.app_id == self.app)
            and (self.definition is None or run.name == self.definition)
            and (self.event is None or run.event_name == self.event)
            and (self.event_id is None or run.event_id == self.event_id)
            and all(run.labels.get(key) == value for key, value in self.labels.items())
            and (lowest is None or highest is None or lowest <= run.id <= highest)
        )

    def _range(self) -> tuple[UUID | None, UUID | None]:
        digits = self.id_prefix.replace("-", "").lower()
        if not digits:
            return None, None
        return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
