"""Durable functions and workflows for ordinary HTTP services.

    from stepwell import App, Event, Step

    app = App("shop")

    @app.function(on=Event("order.placed"))
    async def fulfil(step: Step, order: Order) -> Receipt:
        charge = await step.run("charge", payments.charge, order.id)
        ...

What is named here is the public interface, with `stepwell.testing` and the one-line helpers in `stepwell.fastapi`,
`stepwell.flask` and `stepwell.django`. Each name is loaded when it is first used, so that importing the package
costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stepwell.app import App
    from stepwell.client import Client, NewEvent, RunState, StartedRun
    from stepwell.context import ReceivedEvent
    from stepwell.current import CurrentStep, current_step
    from stepwell.errors import (
        ConfigurationError,
        EngineUnreachable,
        Mistake,
        NonRetryable,
        RequestFailed,
        RequestRefused,
        RetryAfter,
        StepFailed,
        StepwellError,
    )
    from stepwell.handlers import Function
    from stepwell.later import Later
    from stepwell.step import Step
    from stepwell.sync_client import SyncClient
    from stepwell.sync_step import SyncStep
    from stepwell.triggers import Backoff, Cron, Event, Limit

__all__ = [
    "App",
    "Backoff",
    "Client",
    "ConfigurationError",
    "Cron",
    "CurrentStep",
    "EngineUnreachable",
    "Event",
    "Function",
    "Later",
    "Limit",
    "Mistake",
    "NewEvent",
    "NonRetryable",
    "ReceivedEvent",
    "RequestFailed",
    "RequestRefused",
    "RetryAfter",
    "RunState",
    "StartedRun",
    "Step",
    "StepFailed",
    "StepwellError",
    "SyncClient",
    "SyncStep",
    "current_step",
]

_HOMES: Final = {
    "App": "stepwell.app",
    "Backoff": "stepwell.triggers",
    "Client": "stepwell.client",
    "ConfigurationError": "stepwell.errors",
    "Cron": "stepwell.triggers",
    "CurrentStep": "stepwell.current",
    "EngineUnreachable": "stepwell.errors",
    "Event": "stepwell.triggers",
    "Function": "stepwell.handlers",
    "Later": "stepwell.later",
    "Limit": "stepwell.triggers",
    "Mistake": "stepwell.errors",
    "NewEvent": "stepwell.client",
    "NonRetryable": "stepwell.errors",
    "ReceivedEvent": "stepwell.context",
    "RequestFailed": "stepwell.errors",
    "RequestRefused": "stepwell.errors",
    "RetryAfter": "stepwell.errors",
    "RunState": "stepwell.client",
    "StartedRun": "stepwell.client",
    "Step": "stepwell.step",
    "StepFailed": "stepwell.errors",
    "StepwellError": "stepwell.errors",
    "SyncClient": "stepwell.sync_client",
    "SyncStep": "stepwell.sync_step",
    "current_step": "stepwell.current",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepwell' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
