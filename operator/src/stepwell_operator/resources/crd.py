"""Turn the models into CustomResourceDefinitions that the API server accepts.

A structural schema allows less than what pydantic writes: `$ref` is inlined, null branches, `title`, `const` and
`additionalProperties: false` go, `exclusiveMinimum` becomes a boolean, and every object and list stands in full. The
nested copies of a step keep their rules and bounds but point to the top level for their descriptions, which keeps a CRD
under `MAXIMUM_BYTES`: beyond 262,144 bytes client-side apply can't store its annotation.
"""

from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel

from .app import StepwellAppSpec, StepwellAppStatus
from .event import StepwellEventSpec, StepwellEventStatus
from .function import FunctionSpec, FunctionStatus
from .schedule import ScheduleSpec, ScheduleStatus
from .schema import API_VERSION, GROUP, VERSION, Json, rule
from .workflow import WorkflowSpec, WorkflowStatus

MAXIMUM_BYTES = 250_000
_POINTING = {"InnerStep", "LeafStep"}
_KEPT = {
    "description",
    "type",
    "format",
    "pattern",
    "enum",
    "default",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
}
_NAME_RULE = rule("size(self.metadata.name) <= 63", "metadata.name must not be longer than 63 characters")


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the five kinds: its names, models and columns."""

    kind: str
    plural: str
    short_name: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]

    @property
    def resource(self) -> str:
        """The full name that kubectl takes, such as `workflows.stepwell.dev`."""
        return f"{self.plural}.{GROUP}"


_READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="Whether it is in force.")
_REASON = Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', description="Why or why not.", priority=1)
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_APP = Column("App", ".spec.appRef.name", description="The StepwellApp it belongs to.")
_REVISION = Column("Revision", ".status.revision", "integer", "Revision that new runs use.")
_SUSPENDED = Column("Suspended", ".spec.suspend", "boolean", "Whether it is suspended.", 1)

KINDS = (
    Kind(
        kind="StepwellApp",
        plural="stepwellapps",
        short_name="swapp",
        description=(
            "StepwellApp is an application that serves durable functions and workflow steps over one signed HTTP"
            " endpoint. Functions, Workflows, Schedules and events of the namespace refer to it by name."
        ),
        spec=StepwellAppSpec,
        status=StepwellAppStatus,
        columns=(
            Column("Environment", ".spec.environment", description="dev, acc or prod."),
            _READY,
            _REASON,
            Column("Endpoint", ".status.endpoint", description="The URL the engine calls.", priority=1),
            Column("Functions", ".status.counts.functions", "integer", "Functions in force."),
            Column("Workflows", ".status.counts.workflows", "integer", "Workflows in force."),
            _AGE,
        ),
    ),
    Kind(
        kind="Function",
        plural="functions",
        short_name="swfn",
        description="Function is durable code in an app: what starts it, and how its runs are retried and limited.",
        spec=FunctionSpec,
        status=FunctionStatus,
        columns=(
            _APP,
            Column("Handler", ".status.handler", description="Id as the app knows it."),
            _READY,
            _REASON,
            _REVISION,
            _SUSPENDED,
            _AGE,
        ),
    ),
    Kind(
        kind="Workflow",
        plural="workflows",
        short_name="swwf",
        description=(
            "Workflow is a durable sequence of steps declared in a manifest; the app serves the handlers that its steps"
            " call, and each step's result is committed before the next one starts."
        ),
        spec=WorkflowSpec,
        status=WorkflowStatus,
        columns=(
            _APP,
            Column("Steps", ".status.steps", "integer", "Steps, nested ones included."),
            _READY,
            _REASON,
            _REVISION,
            _SUSPENDED,
            _AGE,
        ),
    ),
    Kind(
        kind="Schedule",
        plural="schedules",
        short_name="swsched",
        description=(
            "Schedule starts runs of a Function or Workflow at the instants of a cron expression or an interval."
        ),
        spec=ScheduleSpec,
        status=ScheduleStatus,
        columns=(
            Column("Target", ".spec.targetRef.name", description="What it starts."),
            Column("Schedule", ".spec.schedule", description="Cron expression."),
            Column("Every", ".spec.every", description="Interval."),
            Column("TimeZone", ".spec.timeZone", description="Time zone of schedule.", priority=1),
            _READY,
            _REASON,
            Column("Suspended", ".spec.suspend", "boolean", "Whether it is suspended."),
            Column("Last", ".status.lastScheduleTime", "date", "Last instant."),
            Column("Next", ".status.nextScheduleTime", "string", "Next instant.", 1),
            _AGE,
        ),
    ),
    Kind(
        kind="StepwellEvent",
        plural="stepwellevents",
        short_name="swev",
        description="StepwellEvent is an event sent to an app: stored exactly once, it starts what it triggers.",
        spec=StepwellEventSpec,
        status=StepwellEventStatus,
        columns=(
            _APP,
            Column("Event", ".spec.name", description="Name of the event."),
            _READY,
            _REASON,
            Column("Runs", ".status.runs", "string", "Runs it started.", 1),
            _AGE,
        ),
    ),
)

KIND_BY_NAME = {kind.kind: kind for kind in KINDS}


def object_schema(kind: Kind) -> Json:
    """The structural schema of a whole object of `kind`."""
    metadata: Json = {"type": "object"}
    return {
        "description": kind.description,
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": [_NAME_RULE],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": f"Version of this kind: {API_VERSION}.",
            },
            "kind": {"type": "string", "description": f"The word {kind.kind}."},
            "metadata": metadata,
            "spec": structural(kind.spec),
            "status": structural(kind.status),
        },
    }


def definition(kind: Kind) -> Json:
    """The CustomResourceDefinition of `kind`."""
    columns = [
        {"name": c.name, "type": c.type, "jsonPath": c.path}
        | ({"description": c.description} if c.description else {})
        | ({"priority": c.priority} if c.priority else {})
        for c in kind.columns
    ]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": object_schema(kind)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [kind.short_name],
                "categories": ["stepwell"],
            },
            "versions": [version],
        },
    }


def render(kind: Kind) -> str:
    """The YAML file of `kind`'s CustomResourceDefinition; raises ValueError when it grew past `MAXIMUM_BYTES`."""
    text = f"# Generated by `python -m stepwell_operator.resources` from the models of {kind.kind}. Do not edit.\n"
    text += yaml.dump(definition(kind), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=160)
    if len(text.encode()) > MAXIMUM_BYTES:
        raise ValueError(f"the CRD of {kind.kind} has {len(text.encode())} bytes, more than {MAXIMUM_BYTES}")
    return text


def structural(model: type[BaseModel]) -> Json:
    """The model's JSON schema in the form the API server takes."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(raw, definitions=raw.get("$defs", {}), pointer=None)


def _convert(schema: Json, *, definitions: Json, pointer: str | None) -> Json:
    schema = _resolve(schema, definitions=definitions)
    name = schema.get("title") if "properties" in schema else None
    if name in _POINTING:
        pointer = "spec.steps"
    out: Json = {key: value for key, value in schema.items() if key in _KEPT or key.startswith("x-kubernetes-")}
    if pointer is not None and (out.get("type") == "string" or "matches(" in str(out.get("x-kubernetes-validations"))):
        out.pop("x-kubernetes-validations", None)
    if out.get("default", ...) is None:
        del out["default"]
    if "description" in out:
        out["description"] = " ".join(out["description"].split())
    if "const" in schema:
        out["enum"] = [schema["const"]]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in out:
            out[limit], out[bound] = out[bound], True
    if "properties" in schema:
        out["properties"] = {
            key: _point(_convert(value, definitions=definitions, pointer=_below(pointer, key)), _below(pointer, key))
            for key, value in schema["properties"].items()
        }
    if isinstance(items := schema.get("items"), dict):
        out["items"] = _convert(items, definitions=definitions, pointer=pointer)
    if isinstance(values := schema.get("additionalProperties"), dict):
        out["additionalProperties"] = _convert(values, definitions=definitions, pointer=None)
    return {key: out[key] for key in sorted(out, key=_rank)}


def _resolve(schema: Json, *, definitions: Json) -> Json:
    """`schema` with `$ref` and a null branch folded in; what stands beside them wins."""
    while True:
        if (reference := schema.get("$ref")) is not None:
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            schema = definitions[reference.rpartition("/")[2]] | beside
        elif (branches := schema.get("anyOf")) is not None:
            (branch,) = [b for b in branches if b.get("type") != "null"]
            schema = branch | {key: value for key, value in schema.items() if key != "anyOf"}
        else:
            return schema


def _below(pointer: str | None, key: str) -> str | None:
    return None if pointer is None else f"{pointer}.{key}"


def _point(schema: Json, pointer: str | None) -> Json:
    return schema if pointer is None else _Compact(schema | {"description": f"See {pointer}."})


def _rank(key: str) -> tuple[int, str]:
    first = ("description", "type", "format", "enum", "default", "pattern")
    last = ("required", "x-kubernetes-validations", "properties", "items")
    if key in first:
        return first.index(key), ""
    if key in last:
        return 20 + last.index(key), ""
    return 10, key


class _Compact(dict[str, Any]):
    """A part that is written on as few lines as it takes: the copies of what stands in full elsewhere."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_compact(dumper: _Dumper, data: _Compact) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)


_Dumper.add_representer(_Compact, _represent_compact)
