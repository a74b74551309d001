"""Discovered Functions: objects for what the app says it serves, so that kubectl shows the whole truth.

What the app serves is in force in the engine already; the objects follow it. They are written by server-side apply as
`stepwell-sync`, never forced: a field that somebody else owns stays theirs, is listed in `status.overrides` and, as long
as it is, the object's spec is in force instead of the app's. Labels and annotations are never taken from the app.
A handler that is no longer served turns `Registered=False/NotServed`; its object goes after `NOT_SERVED_KEPT`, unless
runs are active or somebody owns fields of it, so that a rolling deploy doesn't flap.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import orjson

from stepwell_engine.definition import InvalidDefinition, parse_function
from stepwell_engine.journal.run_filter import RunFilter
from stepwell_engine.model import App, Definition, Kind, Status

from ..conditions import Type, false, timestamp
from ..context import Context, Verdict
from ..introspection import Serving
from ..objects import DISCOVERED_LABEL, Json, Key, generation_of, is_discovered, owner_reference, spec_of, status_of
from ..resources import API_VERSION
from ..world import StatusConflict
from .definition import declare, document_of, effective, handler_of, refused, registered, suspended
from .served import serving_of
from .target import ACCEPTED, RESOLVED, AppFound

NAME_CHARACTERS = 63
NOT_SERVED_KEPT = timedelta(hours=24)
LOOK_AGAIN_SECONDS = 300.0


async def publish(context: Context, app_obj: Json, app: App) -> None:
    """Bring the Function objects of an app up to what it serves."""
    namespace = app_obj["metadata"].get("namespace", "")
    authored = {
        handler_of(other)
        for other in context.world.store.list("Function", namespace=namespace)
        if not is_discovered(other) and spec_of(other).get("appRef", {}).get("name") == app_obj["metadata"]["name"]
    }
    for handler, document in (await _served(context, app_obj, app)).items():
        if handler not in authored:
            await _bring_up(context, app_obj, handler, document)


async def reconcile_discovered(context: Context, obj: Json, found: AppFound) -> Verdict:
    """A Function that discovery made: show what is in force, or that it is no longer served."""
    name = handler_of(obj)
    state = await context.journal.definitions.get_definition(found.app.id, kind=Kind.FUNCTION, name=name)
    serving = serving_of(context, found.obj)
    served = None if serving is None else _said(serving, name)
    if served is None and state is not None and not state[0].retired and state[0].source == "sync":
        served = orjson.loads(state[1])
    gone = served is None and (state is None or state[0].retired or serving is not None)
    if served is not None and _wanting(obj, _plain(served)):
        applied = await _bring_up(context, found.obj, name, _plain(served))
        if applied is not None and generation_of(applied) != generation_of(obj):
            raise StatusConflict(f"Function {obj['metadata']['name']} was brought up to what the app serves")
    overrides = [] if served is None else _overrides(obj, served)
    if gone:
        return await _not_served(context, obj, state[0] if state else None)
    fields: Json = {"handler": name} | ({"overrides": overrides} if overrides else {})
    try:
        spec = parse_function(document_of(obj) | {"suspend": suspended(obj)}, name=name)
    except InvalidDefinition as error:
        standing = (registered(state[0]),) if state else ()
        return Verdict(facts=(refused(error), RESOLVED, *standing), fields=fields)
    fields["effective"] = effective(spec, found.app)
    if overrides or (state is not None and state[0].source == "resource"):
        result = await declare(context, obj, found.app, kind=Kind.FUNCTION, name=name, spec=spec)
        return Verdict(facts=result.facts, fields=fields | {"revision": result.definition.revision})
    assert state is not None
    facts = (ACCEPTED, RESOLVED, registered(state[0]))
    return Verdict(facts=facts, fields=fields | {"revision": state[0].revision})


def object_name(app: str, handler: str) -> str:
    """`<app>-<handler>` as a resource name; with a hash when that had to be changed or cut."""
    plain = f"{app}-{handler}"
    slug = re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9]", "-", plain.lower())).strip("-")
    if slug == plain and len(slug) <= NAME_CHARACTERS:
        return slug
    digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
    return f"{slug[: NAME_CHARACTERS - 9].rstrip('-')}-{digest}"


async def _bring_up(context: Context, app_obj: Json, handler: str, document: Json) -> Json | None:
    """The object as it came out; None: there was nothing to do."""
    metadata = app_obj["metadata"]
    name = object_name(metadata["name"], handler)
    spec = {**document, "appRef": {"name": metadata["name"]}, "handler": handler}
    present = context.world.store.get(Key("Function", metadata.get("namespace", ""), name))
    if present is not None and (not is_discovered(present) or not _wanting(present, spec)):
        return None
    return await context.world.apply_discovered(
        {
            "apiVersion": API_VERSION,
            "kind": "Function",
            "metadata": {
                "name": name,
                "namespace": metadata.get("namespace", ""),
                "labels": {DISCOVERED_LABEL: "true"},
                "ownerReferences": [owner_reference(app_obj)],
            },
            "spec": spec,
        }
    )


def _wanting(present: Json, spec: Json) -> bool:
    """Whether an apply would change the object. A known override would only be refused again; but a field that the object
    lacks altogether is nobody's, whatever status still says."""
    overridden = set(status_of(present).get("overrides") or ())
    return any(lacking or path not in overridden for path, lacking in _differences(spec_of(present), spec))


def _overrides(obj: Json, served: Json) -> list[str]:
    """Fields that somebody has set otherwise than the app does."""
    found = [path for path, lacking in _differences(document_of(obj), served) if not lacking]
    return found + (["spec.suspend"] if "suspend" in spec_of(obj) else [])


async def _served(context: Context, app_obj: Json, app: App) -> dict[str, Json]:
    """What the app serves, by handler: as it answered last, or as it announced by `sync` if it doesn't answer."""
    serving = serving_of(context, app_obj)
    if serving is not None:
        return {declaration.name: _plain(declaration.document) for declaration in serving.declarations}
    found: dict[str, Json] = {}
    for definition in await context.journal.definitions.list_definitions(app.id):
        if definition.kind == Kind.FUNCTION and not definition.retired and definition.source == "sync":
            state = await context.journal.definitions.get_definition(app.id, kind=Kind.FUNCTION, name=definition.name)
            if state is not None:
                found[definition.name] = _plain(orjson.loads(state[1]))
    return found


def _plain(document: Mapping[str, object]) -> Json:
    """Without what the object says elsewhere, and what is never an app's to say."""
    return {key: value for key, value in document.items() if key not in ("handler", "suspend")}


def _said(serving: Serving, handler: str) -> Json | None:
    for declaration in serving.declarations:
        if declaration.name == handler:
            return _plain(declaration.document)
    return None


async def _not_served(context: Context, obj: Json, definition: Definition | None) -> Verdict:
    since_text = status_of(obj).get("notServedSince") or timestamp(context.now())
    since = datetime.strptime(since_text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    overrides = status_of(obj).get("overrides") or []
    if definition is not None and not definition.retired:
        await context.journal.definitions.remove_definition(definition.app_id, kind=Kind.FUNCTION, name=definition.name)
    over = context.now() - since >= NOT_SERVED_KEPT
    active = definition is not None and over and await _has_active_runs(context, definition)
    message = (
        f"the app no longer serves {handler_of(obj)!r}: deploy an app that does, or delete this Function;"
        f" it is deleted {NOT_SERVED_KEPT.total_seconds() / 3600:.0f} h after {since_text} when no run is active"
    )
    fields: Json = {"handler": handler_of(obj), "notServedSince": since_text}
    if overrides:
        fields["overrides"] = overrides
    return Verdict(
        facts=(ACCEPTED, RESOLVED, false(Type.REGISTERED, "NotServed", message)),
        fields=fields,
        again=LOOK_AGAIN_SECONDS,
        delete=over and not overrides and not active,
    )


async def _has_active_runs(context: Context, definition: Definition) -> bool:
    where = RunFilter(app=definition.app_id, definition=definition.name, kind=Kind.FUNCTION, status=(Status.ACTIVE,))
    return bool(await context.journal.views.list_runs(where, limit=1))


def _differences(
    have: Mapping[str, object], want: Mapping[str, object], path: str = "spec"
) -> Iterator[tuple[str, bool]]:
    """Paths at which an object's spec is not as wanted, down to where one of them has no object; and whether the object
    lacks the field."""
    for key in sorted(set(have) | set(want)):
        if key in ("appRef", "handler", "suspend") and path == "spec":
            continue
        here, there = have.get(key), want.get(key)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            yield from _differences(here, there, f"{path}.{key}")
        elif here != there:
            yield f"{path}.{key}", here is None
