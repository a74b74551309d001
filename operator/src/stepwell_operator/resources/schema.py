"""What the models of the five kinds are made of: the base class, CEL rules and the reusable kinds of string.

These models are the one source of `crds/*.yaml`. What a field says here is what `kubectl explain` prints, what the API
server enforces and what `stepwell dev` checks for manifests in files, so each field carries a description, a bound and,
where one field decides about another, a rule whose message says what to write instead.

Durations carry a pattern and, beside it, a rule with a message: the API server reports both, and the second one tells
the fix in words. They don't carry `format: duration`, because such a field reaches CEL already parsed, by looser rules
("5 minutes" is one), and can no longer be told that it is misspelt; rules that compare durations convert them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from stepwell_protocol import durations

GROUP = "stepwell.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

Json = dict[str, Any]

DURATION_PATTERN = durations.PATTERN
DURATION_OR_EXPRESSION_PATTERN = r"^(([0-9]{1,9}(d|h|m|s|ms))+|\$\{\{.+\}\})$"
DURATION_FIX = "write whole numbers with a unit (ms, s, m, h or d), such as 250ms, 90s, 1h30m or 7d"
DURATION_OR_EXPRESSION_FIX = f"{DURATION_FIX}, or one ${{{{ }}}} that gives a duration"
CLOCK_DURATION_PATTERN = "^([0-9]{1,6}(h|m|s|ms))+$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
STEP_NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
TRIMMED_PATTERN = r"^\S(.*\S)?$"


class Part(BaseModel):
    """Base of every model: camelCase outside, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def rule(expression: str, message: str, *, field_path: str | None = None) -> Json:
    """One `x-kubernetes-validations` entry. `message` says what to write instead."""
    entry = {"rule": expression, "message": message}
    return entry | ({"fieldPath": field_path} if field_path else {})


def rules(*entries: Json) -> Json:
    """Schema extras that carry CEL rules."""
    return {"x-kubernetes-validations": list(entries)}


def exactly_one_of(*fields: str) -> str:
    """CEL: exactly one of `fields` (as CEL spells them) is set. A sum: a list of booleans costs ten times as much."""
    return " + ".join(f"(has(self.{field}) ? 1 : 0)" for field in fields) + " == 1"


def duration_at_most(left: str, right: str) -> str:
    """CEL: the duration string `left` is not longer than `right`; true when either is unset or counts in days, which
    CEL's own durations don't know: the engine compares those."""
    return (
        f"!has(self.{left}) || !has(self.{right}) || !self.{left}.matches('{CLOCK_DURATION_PATTERN}')"
        f" || !self.{right}.matches('{CLOCK_DURATION_PATTERN}') || duration(self.{left}) <= duration(self.{right})"
    )


def free_object(maximum: int) -> Json:
    """Schema extras of an object whose fields are the user's own."""
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "maxProperties": maximum}


def atomic(maximum: int, minimum: int = 0) -> Json:
    """Schema extras of a list that is replaced as a whole: its order means something."""
    bounds: Json = {"maxItems": maximum, "x-kubernetes-list-type": "atomic"}
    return bounds | ({"minItems": minimum} if minimum else {})


def drop_type(schema: Json) -> None:
    """Schema callable for a field that takes any JSON."""
    schema.pop("anyOf", None)
    schema.pop("type", None)
    schema["x-kubernetes-preserve-unknown-fields"] = True


AnyJson = Annotated[Any, Field(json_schema_extra=drop_type)]

Duration = Annotated[
    str,
    Field(
        pattern=DURATION_PATTERN,
        max_length=32,
        json_schema_extra=rules(rule(f"self.matches('{DURATION_PATTERN}')", DURATION_FIX)),
    ),
]
"""A literal duration."""

DurationOrExpression = Annotated[
    str,
    Field(
        pattern=DURATION_OR_EXPRESSION_PATTERN,
        max_length=512,
        json_schema_extra=rules(rule(f"self.matches(r'{DURATION_OR_EXPRESSION_PATTERN}')", DURATION_OR_EXPRESSION_FIX)),
    ),
]
"""A literal duration or one whole `${{ … }}`."""

ResourceName = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=63)]
HandlerName = Annotated[str, Field(pattern=TRIMMED_PATTERN, min_length=1, max_length=256)]
StepName = Annotated[str, Field(pattern=STEP_NAME_PATTERN, min_length=1, max_length=63)]
EventName = Annotated[str, Field(pattern=TRIMMED_PATTERN, min_length=1, max_length=256)]
Expression = Annotated[str, Field(min_length=1, max_length=2048)]
KeyExpression = Annotated[str, Field(min_length=1, max_length=512)]
