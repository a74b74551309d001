"""Workflows: steps that are declared, not coded."""

from collections.abc import Mapping
from typing import Any

from .functions import HIGHEST_PRIORITY
from .parts import read_input_schema, read_retries, read_timeouts, read_triggers, refuse_policies
from .problems import Problems
from .reader import Reader
from .references import check_references
from .spec import WorkflowSpec
from .steps import read_steps


def parse_workflow(document: Mapping[str, Any], *, name: str) -> WorkflowSpec:
    """Read a Workflow's document. The workflow's own retries and timeouts are the defaults of its steps.

    Raises:
        InvalidDefinition: with every problem found.
        NotYetSupported: all that is wrong is that parts aren't built yet.
    """
    problems = Problems()
    reader = Reader(document, path="spec", problems=problems)
    retries = read_retries(reader)
    timeouts = read_timeouts(reader)
    steps, unread = read_steps(reader, retries=retries, timeout=timeouts.step)
    spec = WorkflowSpec(
        name=name,
        triggers=read_triggers(reader),
        input_schema=read_input_schema(reader),
        steps=steps,
        output=reader.raw("output"),
        retries=retries,
        timeouts=timeouts,
        priority=reader.integer("priority", default=0, least=-HIGHEST_PRIORITY, most=HIGHEST_PRIORITY),
        suspend=reader.boolean("suspend"),
    )
    refuse_policies(reader)
    reader.raw("appRef")
    reader.close()
    check_references(spec, unread=unread, problems=problems)
    problems.raise_if_any()
    return spec
