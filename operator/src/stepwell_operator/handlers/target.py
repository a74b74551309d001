"""Find what an object refers to: its app, in the cluster and in the engine."""

from dataclasses import dataclass

from stepwell_engine.model import App

from ..conditions import Fact, Type, false, true, unknown
from ..context import Context
from ..objects import Json, Key, is_being_deleted, spec_of


@dataclass(frozen=True, slots=True)
class AppFound:
    """The app that `appRef` names, in force in the engine."""

    obj: Json
    app: App


@dataclass(frozen=True, slots=True)
class AppMissing:
    """Why there is none (yet), as facts."""

    facts: tuple[Fact, ...]


ACCEPTED = true(Type.ACCEPTED, "Accepted")
RESOLVED = true(Type.RESOLVED_REFS, "Resolved")
REGISTERED = true(Type.REGISTERED, "Registered")


async def find_app(context: Context, obj: Json) -> AppFound | AppMissing:
    """The app of a Function, Workflow or StepwellEvent."""
    namespace, name = obj["metadata"].get("namespace", ""), spec_of(obj)["appRef"]["name"]
    found = context.world.store.get(Key("StepwellApp", namespace, name))
    if found is None or is_being_deleted(found):
        return AppMissing(_not_there("spec.appRef.name", "StepwellApp", name, namespace, context, reason="AppNotFound"))
    environment = spec_of(found).get("environment", "dev")
    app = await context.journal.definitions.find_app(namespace=namespace, name=name, environment=environment)
    if app is None:
        return AppMissing(
            (
                ACCEPTED,
                RESOLVED,
                unknown(Type.REGISTERED, "AppNotRegistered", f"waits until StepwellApp {name!r} is registered"),
            )
        )
    return AppFound(found, app)


def target_not_found(context: Context, obj: Json, *, kind: str, name: str) -> tuple[Fact, ...]:
    """Facts for a Schedule whose targetRef leads nowhere."""
    namespace = obj["metadata"].get("namespace", "")
    return _not_there("spec.targetRef.name", kind, name, namespace, context, reason="TargetNotFound")


def _not_there(field: str, kind: str, name: str, namespace: str, context: Context, *, reason: str) -> tuple[Fact, ...]:
    others = [o["metadata"]["name"] for o in context.world.store.list(kind, namespace=namespace)]
    fix = f"name one of {', '.join(others[:10])}, or create it" if others else "create it, or correct the name"
    where = f" in namespace {namespace!r}" if namespace else ""
    message = f"{field}: there is no {kind} {name!r}{where}: {fix}"
    return (
        false(Type.ACCEPTED, reason, message, permanent=True),
        false(Type.RESOLVED_REFS, reason, message, permanent=True),
    )
