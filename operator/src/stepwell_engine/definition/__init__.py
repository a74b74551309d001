"""Definitions: from the document that a manifest or a sync carries to values the engine runs by.

A document is the camelCase `spec` of a Function or Workflow without appRef, or of a Schedule. The API server's schema
checks shapes; here everything else is checked as well (and shapes once more, because a sync has no API server): cron
and time zones, CEL, JSON Schema, durations, names, references between steps. All problems of a document are told at
once, each with field, reason and fix:

    InvalidDefinition        the document is refused; the revision in force stays in force
    └── NotYetSupported      it would be right, but names parts of the product that aren't built yet

Parsing is pure and gives equal values for equal documents; `canonical` gives the bytes whose hash names a revision.
"""

from .canonical import canonical
from .functions import parse_function
from .problems import InvalidDefinition, NotYetSupported, Problem
from .schedules import parse_schedule
from .spec import (
    Body,
    Call,
    CatchUp,
    Compensation,
    ConcurrencyPolicy,
    CronTrigger,
    EventTrigger,
    FunctionSpec,
    Http,
    Parallel,
    ScheduleSpec,
    Service,
    Sleep,
    Step,
    TargetRef,
    Timeouts,
    Trigger,
    WaitForEvent,
    WorkflowSpec,
)
from .workflows import parse_workflow

__all__ = [
    "Body",
    "Call",
    "CatchUp",
    "Compensation",
    "ConcurrencyPolicy",
    "CronTrigger",
    "EventTrigger",
    "FunctionSpec",
    "Http",
    "InvalidDefinition",
    "NotYetSupported",
    "Parallel",
    "Problem",
    "ScheduleSpec",
    "Service",
    "Sleep",
    "Step",
    "TargetRef",
    "Timeouts",
    "Trigger",
    "WaitForEvent",
    "WorkflowSpec",
    "canonical",
    "parse_function",
    "parse_schedule",
    "parse_workflow",
]
