"""One handler per kind: from the present state of an object to what the engine has and what status says.

A handler may be called at any time, any number of times, by two operators at once: everything it does is a comparison
followed by what is missing.
"""

from collections.abc import Awaitable, Callable

from ..context import Context, Verdict
from ..objects import Json
from .app import reconcile_app
from .event import reconcile_event
from .function import reconcile_function
from .schedule import reconcile_schedule
from .workflow import reconcile_workflow

Handler = Callable[[Context, Json], Awaitable[Verdict]]

HANDLERS: dict[str, Handler] = {
    "StepwellApp": reconcile_app,
    "Function": reconcile_function,
    "Workflow": reconcile_workflow,
    "Schedule": reconcile_schedule,
    "StepwellEvent": reconcile_event,
}

__all__ = ["HANDLERS", "Handler"]
