"""What apps and senders reach: events, sync, app registration, starts, and the checkpoints of running handlers.

Plain ASGI. Every request but `/healthz` is authenticated before its body is looked at: by an app's signature, or the admin
token for `/api/apps`. Answers with a 2xx are sent after the commit. Errors are RFC 9457 problem details; nothing here ever
answers a traceback.
"""

import random

from ..clock import SystemClock
from ..journal import Journal
from ..services.notifier import Notifier, WorkMade
from ..settings import Settings
from .app import Application, Gateway, application_of
from .checkpoint import Checkpoints
from .identity import Identity

__all__ = ["Application", "Checkpoints", "Gateway", "application_of", "create_app"]

#: The paths that belong to the gateway where it shares a port with the dashboard.
PATHS = ("/e", "/fn/", "/api/apps")


def create_app(
    journal: Journal,
    settings: Settings,
    *,
    work_made: WorkMade | None = None,
    checkpoints: Checkpoints | None = None,
) -> Application:
    """The gateway over an open journal. Without `work_made`, workers in other processes are told by a hint."""
    clock = SystemClock()
    if work_made is None:
        notifier = Notifier(journal.hints, listeners={}, rng=random.Random())  # noqa: S311 - jitter
        work_made = notifier.work_made
    identity = Identity(journal.definitions, admin_token=settings.admin_token, dev=settings.dev, clock=clock)
    return application_of(Gateway(journal, identity=identity, work_made=work_made, checkpoints=checkpoints))
