"""StepwellEvent: stored exactly once, then status says so.

The journal knows the event by its id (`spec.id`, else the object's uid): an operator that dies after storing it and
before writing status stores it again and is told the runs that the first time started. Once status says Accepted the
event is never looked at again, except to delete it when its time is over.
"""

from datetime import UTC, datetime

import orjson

from stepwell_engine.failpoints import failpoint
from stepwell_engine.model import NewEvent
from stepwell_protocol import limits
from stepwell_protocol.strict_json import StrictJsonError, loads

from ..conditions import Fact, Type, condition_status, false, timestamp, true, unknown
from ..context import Context, Verdict
from ..objects import Json, Key, key_of, spec_of, status_of, uid_of
from .target import RESOLVED, AppMissing, find_app

MOST_RUNS_SHOWN = 64
LOOK_AGAIN_SECONDS = 0.3


async def reconcile_event(context: Context, obj: Json) -> Verdict:
    status = status_of(obj)
    if status.get("eventId") and condition_status(obj, Type.ACCEPTED) == "True":
        return _settled(context, obj)
    spec = spec_of(obj)
    data = orjson.dumps(spec.get("data"))
    if len(data) > limits.EVENT_BYTES:
        message = (
            f"spec.data: {len(data):,} bytes are more than {limits.EVENT_BYTES:,}: send a reference to the data instead"
        )
        return Verdict(facts=(false(Type.ACCEPTED, "TooLarge", message, permanent=True),))
    try:
        loads(data, place="spec.data")
    except StrictJsonError as error:
        return Verdict(facts=(false(Type.ACCEPTED, "InvalidData", str(error), permanent=True),))
    found = await find_app(context, obj)
    if isinstance(found, AppMissing):
        return Verdict(facts=found.facts)
    if (waiting := _not_looked_at(context, obj, found.obj)) is not None:
        message = f"waits until {waiting} has been looked at, so that it can start runs"
        return Verdict(facts=(unknown(Type.ACCEPTED, "Waiting", message), RESOLVED), again=LOOK_AGAIN_SECONDS)
    event = NewEvent(app_id=found.app.id, name=spec["name"], data=data, deduplicate=spec.get("id") or uid_of(obj))
    (accepted,) = await context.journal.intake.accept_events([event])
    failpoint("before_status")
    fields: Json = {
        "eventId": str(accepted.event_id),
        "acceptedAt": timestamp(context.now()),
        "duplicate": accepted.duplicate and spec.get("id") is not None,
        "runs": [str(run_id) for run_id in accepted.run_ids[:MOST_RUNS_SHOWN]],
    }
    return Verdict(
        facts=(_accepted(len(accepted.run_ids)), RESOLVED),
        fields=fields,
        ready="Accepted",
        again=_left(context, spec, fields),
    )


def _settled(context: Context, obj: Json) -> Verdict:
    status = status_of(obj)
    fields: Json = {key: status[key] for key in ("eventId", "acceptedAt", "duplicate", "runs") if key in status}
    left = _left(context, spec_of(obj), fields)
    facts = (_accepted(len(fields.get("runs", ()))), RESOLVED)
    return Verdict(facts=facts, fields=fields, ready="Accepted", again=left, delete=left is not None and left <= 0)


def _not_looked_at(context: Context, obj: Json, app_obj: Json) -> Key | None:
    """The app or one of its definitions that is new and not in force yet: an event that is applied together with what it
    triggers must find it."""
    name, namespace = app_obj["metadata"]["name"], obj["metadata"].get("namespace", "")
    definitions = [
        other
        for kind in ("Function", "Workflow")
        for other in context.world.store.list(kind, namespace=namespace)
        if spec_of(other).get("appRef", {}).get("name") == name
    ]
    if status_of(app_obj).get("observedGeneration") is None:
        return key_of(app_obj)
    return next((key_of(other) for other in definitions if condition_status(other, "Ready") in (None, "Unknown")), None)


def _accepted(runs: int) -> Fact:
    return true(Type.ACCEPTED, "Accepted", f"stored; it started {runs} run{'' if runs == 1 else 's'}")


def _left(context: Context, spec: Json, fields: Json) -> float | None:
    """Seconds until the object is deleted; None: it is kept."""
    ttl = spec.get("ttlSecondsAfterAccepted")
    if ttl is None:
        return None
    since = datetime.strptime(fields["acceptedAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return float(ttl) - (context.now() - since).total_seconds()
