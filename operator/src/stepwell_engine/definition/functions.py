"""Functions: handlers of an app that run from the top, step by step."""

from collections.abc import Mapping
from typing import Any

from .parts import read_input_schema, read_retries, read_timeouts, read_triggers, refuse_policies
from .problems import Problems
from .reader import Reader
from .spec import FunctionSpec

HIGHEST_PRIORITY = 1_000_000


def parse_function(document: Mapping[str, Any], *, name: str) -> FunctionSpec:
    """Read a Function's document. `handler` defaults to `name`.

    Raises:
        InvalidDefinition: with every problem found.
        NotYetSupported: all that is wrong is that parts aren't built yet.
    """
    problems = Problems()
    reader = Reader(document, path="spec", problems=problems)
    spec = FunctionSpec(
        name=name,
        handler=reader.text("handler", longest=256, fix="write the id that the app knows the function by") or name,
        triggers=read_triggers(reader),
        input_schema=read_input_schema(reader),
        retries=read_retries(reader),
        timeouts=read_timeouts(reader),
        priority=reader.integer("priority", default=0, least=-HIGHEST_PRIORITY, most=HIGHEST_PRIORITY),
        suspend=reader.boolean("suspend"),
    )
    refuse_policies(reader)
    reader.raw("appRef")
    reader.close()
    problems.raise_if_any()
    return spec
