"""Schedule: which definition to start, when. The engine fires; this declares, and shows what the engine did.

Its status is read again every half minute, so that lastScheduleTime keeps up without a write per instant.
"""

from stepwell_engine.definition import InvalidDefinition, parse_schedule
from stepwell_engine.journal.definitions import ScheduleState
from stepwell_engine.model import Kind

from ..conditions import Type, timestamp, true, unknown
from ..context import Context, Verdict
from ..objects import Json, Key, generation_of, is_being_deleted, spec_of, uid_of
from .definition import handler_of, in_force, refused
from .target import ACCEPTED, RESOLVED, AppFound, AppMissing, find_app, target_not_found

LOOK_AGAIN_SECONDS = 30.0


async def reconcile_schedule(context: Context, obj: Json) -> Verdict:
    spec, name = spec_of(obj), obj["metadata"]["name"]
    try:
        parsed = parse_schedule(spec)
    except InvalidDefinition as error:
        return Verdict(facts=(refused(error),))
    kind, target = parsed.target.kind, parsed.target.name
    subject = context.world.store.get(Key(kind, obj["metadata"].get("namespace", ""), target))
    if subject is None or is_being_deleted(subject):
        return Verdict(facts=target_not_found(context, obj, kind=kind, name=target))
    found = await find_app(context, subject)
    known_as = handler_of(subject) if kind == "Function" else target
    definition = None
    if isinstance(found, AppFound):
        definition = await in_force(context, found.app, kind=Kind(kind.lower()), name=known_as)
    if isinstance(found, AppMissing) or definition is None:
        waiting = unknown(
            Type.REGISTERED,
            "TargetNotRegistered",
            f"waits until {kind} {target!r} is registered: look at its conditions",
        )
        return Verdict(facts=(ACCEPTED, RESOLVED, waiting))
    await _leave_other_apps(context, obj, app_id=found.app.id)
    declared = (found.app.id, definition.id, generation_of(obj), parsed.suspend)
    state = None
    if context.schedules.get(uid_of(obj)) == declared:
        state = await context.journal.definitions.get_schedule(found.app.id, name=name)
    if state is None:
        state = await context.journal.definitions.put_schedule(
            found.app.id,
            name=name,
            definition_id=definition.id,
            document={key: value for key, value in spec.items() if key != "suspend"},
            suspended=parsed.suspend,
            resource_uid=uid_of(obj),
        )
        context.schedules[uid_of(obj)] = declared
    message = "suspended: nothing is started" if parsed.suspend else ""
    facts = (ACCEPTED, RESOLVED, true(Type.REGISTERED, "Registered", message))
    again = 1.0 if state.next_at is None and not parsed.suspend else LOOK_AGAIN_SECONDS
    return Verdict(facts=facts, fields=_fields(state, suspended=parsed.suspend), again=again)


def _fields(state: ScheduleState, *, suspended: bool) -> Json:
    fields: Json = {}
    if state.last_at is not None:
        fields["lastScheduleTime"] = timestamp(state.last_at)
    if state.next_at is not None and not suspended:
        fields["nextScheduleTime"] = timestamp(state.next_at)
    if state.last_run is not None:
        fields["lastRun"] = str(state.last_run)
    return fields


async def _leave_other_apps(context: Context, obj: Json, *, app_id: str) -> None:
    """A targetRef that now leads to another app must not leave the old app's schedule running."""
    before = context.schedules.get(uid_of(obj))
    if before is not None and before[0] != app_id:
        await context.journal.definitions.remove_schedule(str(before[0]), name=obj["metadata"]["name"])
