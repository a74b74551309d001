"""Function: a handler of an app, its triggers and its policies, as a person or discovery declares them."""

from stepwell_engine.definition import InvalidDefinition, parse_function
from stepwell_engine.model import Kind

from ..conditions import Type, false
from ..context import Context, Verdict
from ..objects import Json, is_being_deleted, is_discovered, seniority, spec_of, uid_of
from .definition import declare, document_of, effective, handler_of, in_force, refused, registered, suspended
from .discovered import reconcile_discovered
from .served import LOOK_AGAIN_SECONDS, function_not_served
from .target import ACCEPTED, RESOLVED, AppMissing, find_app


async def reconcile_function(context: Context, obj: Json) -> Verdict:
    name = handler_of(obj)
    found = await find_app(context, obj)
    if isinstance(found, AppMissing):
        return Verdict(facts=found.facts, fields={"handler": name})
    if (rival := _rival(context, obj)) is not None:
        message = (
            f"spec.handler: {name!r} is declared by Function {rival['metadata']['name']!r} already, which is older:"
            " delete one of the two, or name another handler"
        )
        return Verdict(
            facts=(false(Type.ACCEPTED, "DuplicateHandler", message, permanent=True),), fields={"handler": name}
        )
    if is_discovered(obj):
        return await reconcile_discovered(context, obj, found)
    try:
        spec = parse_function(document_of(obj) | {"suspend": suspended(obj)}, name=name)
    except InvalidDefinition as error:
        before = await in_force(context, found.app, kind=Kind.FUNCTION, name=name)
        facts = (refused(error), RESOLVED, *((registered(before),) if before else ()))
        fields = {"handler": name} | ({"revision": before.revision} if before else {})
        return Verdict(facts=facts, fields=fields)
    result = await declare(context, obj, found.app, kind=Kind.FUNCTION, name=name, spec=spec)
    missing = function_not_served(context, found.obj, handler=name)
    return Verdict(
        facts=result.facts if missing is None else (ACCEPTED, missing, registered(result.definition)),
        again=None if missing is None else LOOK_AGAIN_SECONDS,
        fields={"handler": name, "revision": result.definition.revision, "effective": effective(spec, found.app)},
    )


def _rival(context: Context, obj: Json) -> Json | None:
    """The Function that owns this handler instead of `obj`: an author's goes before discovery's, else the older wins."""
    spec, namespace = spec_of(obj), obj["metadata"].get("namespace", "")
    claims = [
        other
        for other in context.world.store.list("Function", namespace=namespace)
        if spec_of(other).get("appRef", {}).get("name") == spec["appRef"]["name"]
        and handler_of(other) == handler_of(obj)
        and not is_being_deleted(other)
    ]
    winner = min(claims, key=lambda other: (is_discovered(other), *seniority(other)), default=obj)
    return None if uid_of(winner) == uid_of(obj) else winner
