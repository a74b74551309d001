"""Workflow: declared steps. Services that its http steps name must exist in the namespace."""

from stepwell_engine.definition import Http, InvalidDefinition, WorkflowSpec, parse_workflow
from stepwell_engine.model import Kind

from ..conditions import Type, false
from ..context import Context, Verdict
from ..objects import Json
from ..world import Service, Unresolved
from .definition import declare, document_of, effective, in_force, refused, registered, suspended
from .served import LOOK_AGAIN_SECONDS, steps_not_served
from .target import ACCEPTED, RESOLVED, AppMissing, find_app


async def reconcile_workflow(context: Context, obj: Json) -> Verdict:
    name = obj["metadata"]["name"]
    found = await find_app(context, obj)
    if isinstance(found, AppMissing):
        return Verdict(facts=found.facts)
    before = await in_force(context, found.app, kind=Kind.WORKFLOW, name=name)
    standing = ((registered(before),), {"revision": before.revision}) if before else ((), {})
    try:
        spec = parse_workflow(document_of(obj) | {"suspend": suspended(obj)}, name=name)
    except InvalidDefinition as error:
        return Verdict(facts=(refused(error), RESOLVED, *standing[0]), fields=standing[1])
    try:
        await _check_services(context, obj, spec)
    except Unresolved as error:
        facts = (ACCEPTED, false(Type.RESOLVED_REFS, error.reason, str(error), permanent=True), *standing[0])
        return Verdict(facts=facts, fields=standing[1], again=LOOK_AGAIN_SECONDS)
    result = await declare(context, obj, found.app, kind=Kind.WORKFLOW, name=name, spec=spec)
    missing = steps_not_served(context, found.obj, spec)
    return Verdict(
        facts=result.facts if missing is None else (ACCEPTED, missing, registered(result.definition)),
        again=None if missing is None else LOOK_AGAIN_SECONDS,
        fields={
            "revision": result.definition.revision,
            "steps": sum(1 for _ in spec.walk()),
            "effective": effective(spec, found.app),
        },
    )


async def _check_services(context: Context, obj: Json, spec: WorkflowSpec) -> None:
    for step in spec.walk():
        for body in (step.body, step.compensate and step.compensate.body):
            if isinstance(body, Http) and body.service is not None:
                service = Service(name=body.service.name, port=body.service.port)
                try:
                    await context.world.service_url(obj["metadata"].get("namespace", ""), service)
                except Unresolved as error:
                    raise Unresolved(error.reason, f"spec.{step.path}.http.service: {error}") from None
