"""What every handler is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stepwell_engine.clock import Clock
from stepwell_engine.journal import Journal
from stepwell_protocol.client import HttpClient

from .conditions import Fact
from .introspection import Probe
from .world import World


@dataclass(slots=True)
class Probed:
    """The last probe of one app, so that a burst of changes is not a burst of requests."""

    probe: Probe
    url: str
    poke: str | None
    failures: int
    due: float
    synced: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`probes` and `schedules` are by uid; they only save work and may be lost at any time."""

    world: World
    journal: Journal
    http: HttpClient
    clock: Clock
    now: Callable[[], datetime]
    gateway_url: str | None = None
    probes: dict[str, Probed] = field(default_factory=dict)
    schedules: dict[str, tuple[object, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a handler found: facts for conditions, further fields of status, and when to look again, in seconds.

    `announce` is for people who must act: reason and message of a Kubernetes Event, sent once per message."""

    facts: tuple[Fact, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    ready: str = "Ready"
    again: float | None = None
    delete: bool = False
