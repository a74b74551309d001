"""The journaled state of a workflow run, as the plan sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """`output` is parsed JSON. `ordinal` is the entry's place in the journal."""

    output: Any
    ordinal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Failed for good. `error` is {"name", "message", …}."""

    error: Mapping[str, Any]
    ordinal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    ordinal: int


Result = Completed | Failed | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a run is to end before its plan does. `error` None: it was cancelled; else it fails with this error (its
    timeout). `compensate` False: at once, without compensation (`force`)."""

    error: Mapping[str, Any] | None = None
    compensate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanState:
    """`results`, `pending` and `attempts` are keyed by step name, compensations included (`compensate:<step>`).

    `event` is {"id", "name", "data"} or None; `run` is what expressions see of the run ({"id", "workflow", …}),
    constant over its life. `attempts` counts used-up attempts. `uncertain` maps steps with an attempt that timed out,
    so that nobody knows whether it had its effect, to that attempt's ordinal.
    """

    input: Any = None
    event: Mapping[str, Any] | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Result] = field(default_factory=dict)
    pending: frozenset[str] = frozenset()
    attempts: Mapping[str, int] = field(default_factory=dict)
    uncertain: Mapping[str, int] = field(default_factory=dict)
    stop: Stop | None = None
