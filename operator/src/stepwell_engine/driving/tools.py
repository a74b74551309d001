"""What the loops work with, handed in once by the worker."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..clock import Clock
from ..journal import Intake, Queue
from ..services.completer import Completer
from ..services.notifier import WorkMade
from ..transport.caller import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    caller: Caller
    completer: Completer
    queue: Queue
    intake: Intake
    clock: Clock
    rng: random.Random
    checkpoint_url: str | None
    """The address at which apps reach this very worker while their handlers run; None: no checkpointing."""
    draining: Callable[[], bool]
    """The worker is stopping: give runs back at the next commit."""
    crowded: Callable[[], bool]
    """Runs of others wait for a place: don't stay on one for long."""
    company: Callable[[], bool]
    """Other runs are driven at the same time."""
    timer_set: Callable[[datetime], None]
    """A wait with this due time is on record."""
    work_made: WorkMade


#: How long a worker stays on one run while others wait.
STICKY = timedelta(seconds=1)
