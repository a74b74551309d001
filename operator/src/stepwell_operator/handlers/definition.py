"""Function and Workflow alike: check the document, put it in force, say what came of it.

A document that is refused leaves the revision in force as it is. What is stored is the spec without `appRef` and
`suspend`: moving or suspending a definition makes no new revision. Nothing is written when the engine has it already.
"""

from dataclasses import dataclass

from stepwell_engine.definition import FunctionSpec, InvalidDefinition, NotYetSupported, WorkflowSpec, canonical
from stepwell_engine.journal.definitions import Declaration
from stepwell_engine.model import App, Definition, Kind
from stepwell_protocol.durations import format_duration

from ..conditions import Fact, Type, false, true
from ..context import Context
from ..objects import Json, spec_of, uid_of
from .target import ACCEPTED, RESOLVED

NOT_STORED = ("appRef", "suspend")


@dataclass(frozen=True, slots=True)
class InForce:
    """What the engine has of a definition after reconciling, and the facts that follow."""

    definition: Definition
    facts: tuple[Fact, ...]


def document_of(obj: Json) -> Json:
    """The document that is stored: what decides how runs go."""
    return {key: value for key, value in spec_of(obj).items() if key not in NOT_STORED}


def refused(error: InvalidDefinition) -> Fact:
    """Accepted=False with every problem: its path, its reason and what to write instead."""
    reason = "NotYetSupported" if isinstance(error, NotYetSupported) else "InvalidDefinition"
    return false(Type.ACCEPTED, reason, error.message, permanent=True)


async def in_force(context: Context, app: App, *, kind: Kind, name: str) -> Definition | None:
    """What the engine has now, retired definitions excluded."""
    found = await context.journal.definitions.get_definition(app.id, kind=kind, name=name)
    return None if found is None or found[0].retired else found[0]


async def declare(
    context: Context, obj: Json, app: App, *, kind: Kind, name: str, spec: FunctionSpec | WorkflowSpec
) -> InForce:
    """Put the object's document in force unless it is already."""
    document, uid = document_of(obj), uid_of(obj)
    found = await context.journal.definitions.get_definition(app.id, kind=kind, name=name)
    if found is not None and _same(found[0], found[1], document, uid=uid, suspended=spec.suspend):
        definition = found[0]
    else:
        declaration = Declaration(kind=kind, name=name, spec=spec, document=document, suspended=spec.suspend)
        declared = await context.journal.definitions.put_definition(
            app.id, declaration, resource_name=obj["metadata"]["name"], resource_uid=uid
        )
        definition = declared.definition
    return InForce(definition, (ACCEPTED, RESOLVED, registered(definition)))


def handler_of(obj: Json) -> str:
    """The id that the app knows a Function by."""
    return str(spec_of(obj).get("handler") or obj["metadata"]["name"])


def suspended(obj: Json) -> bool:
    return bool(spec_of(obj).get("suspend", False))


def effective(spec: FunctionSpec | WorkflowSpec, app: App) -> Json:
    """The values in force, those included that the spec leaves out."""
    return {
        "retries": {
            "maxAttempts": spec.retries.max_attempts,
            "initial": format_duration(spec.retries.backoff.initial),
            "max": format_duration(spec.retries.backoff.maximum),
        },
        "stepTimeout": format_duration(spec.timeouts.step or app.step_timeout),
    }


def registered(definition: Definition) -> Fact:
    held = ", suspended" if definition.suspended else ""
    return true(Type.REGISTERED, "Registered", f"revision {definition.revision} is in force{held}")


def _same(definition: Definition, stored: bytes, document: Json, *, uid: str, suspended: bool) -> bool:
    return (
        not definition.retired
        and definition.source == "resource"
        and definition.resource_uid == uid
        and definition.suspended == suspended
        and bytes(stored) == canonical(document)
    )
