"""The five kinds as pydantic models, and the CustomResourceDefinitions generated from them.

`python -m stepwell_operator.resources` writes `crds/*.yaml`; with `--check` it fails when a file differs.
"""

from .app import StepwellAppSpec
from .crd import KIND_BY_NAME, KINDS, Kind, object_schema
from .event import StepwellEventSpec
from .function import FunctionSpec
from .schedule import ScheduleSpec
from .schema import API_VERSION, GROUP, VERSION
from .workflow import WorkflowSpec

__all__ = [
    "API_VERSION",
    "GROUP",
    "KINDS",
    "KIND_BY_NAME",
    "VERSION",
    "FunctionSpec",
    "Kind",
    "ScheduleSpec",
    "StepwellAppSpec",
    "StepwellEventSpec",
    "WorkflowSpec",
    "object_schema",
]
