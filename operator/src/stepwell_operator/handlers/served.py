"""Whether the app serves what a definition calls, as far as it has said so.

A definition is in force either way: the app may be about to be deployed. But a run would fail on a handler that is not
there, so the object says so, names the nearest handler that is, and is looked at again.
"""

import difflib
from collections.abc import Iterable

from stepwell_engine.definition import Call, WorkflowSpec

from ..conditions import Fact, Type, false
from ..context import Context
from ..introspection import Serving
from ..objects import Json, uid_of

LOOK_AGAIN_SECONDS = 15.0


def serving_of(context: Context, app_obj: Json) -> Serving | None:
    """What the app said last; None: it did not say, or is away."""
    probed = context.probes.get(uid_of(app_obj))
    return None if probed is None else probed.probe.serving


def function_not_served(context: Context, app_obj: Json, *, handler: str) -> Fact | None:
    serving = serving_of(context, app_obj)
    if serving is None:
        return None
    known = sorted(declaration.name for declaration in serving.declarations)
    return None if handler in known else _not_served("spec.handler", handler, known, what="function")


def steps_not_served(context: Context, app_obj: Json, spec: WorkflowSpec) -> Fact | None:
    """The first step whose handler the app does not serve."""
    serving = serving_of(context, app_obj)
    if serving is None or serving.handlers is None:
        return None
    for step in spec.walk():
        for place, body in (("call", step.body), ("compensate.call", step.compensate and step.compensate.body)):
            if isinstance(body, Call) and body.handler not in serving.handlers:
                field = f"spec.{step.path}.{place}.handler"
                return _not_served(field, body.handler, serving.handlers, what="step handler")
    return None


def _not_served(field: str, handler: str, known: Iterable[str], *, what: str) -> Fact:
    near = difflib.get_close_matches(handler, known, n=1)
    fix = f"did you mean {near[0]!r}?" if near else "deploy an app that does, or correct the name"
    return false(Type.RESOLVED_REFS, "HandlerNotServed", f"{field}: the app serves no {what} {handler!r}: {fix}")
