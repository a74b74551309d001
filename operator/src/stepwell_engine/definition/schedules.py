"""Schedules: instants at which a Function or a Workflow is started."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from ..cron import Every, Timetable
from .parts import read_cron
from .problems import Problems
from .reader import Reader
from .spec import CatchUp, ConcurrencyPolicy, ScheduleSpec, TargetRef


class _Target(StrEnum):
    FUNCTION = "Function"
    WORKFLOW = "Workflow"


def parse_schedule(document: Mapping[str, Any]) -> ScheduleSpec:
    """Read a Schedule's document.

    Raises:
        InvalidDefinition: with every problem found.
    """
    problems = Problems()
    reader = Reader(document, path="spec", problems=problems)
    target = _target(reader)
    timetable = _timetable(reader)
    concurrency_policy = reader.choice("concurrencyPolicy", ConcurrencyPolicy, default=ConcurrencyPolicy.ALLOW)
    starting_deadline = reader.duration("startingDeadline", least=timedelta(seconds=1))
    jitter = reader.duration("jitter", least=timedelta(0)) or timedelta(0)
    catch_up = reader.choice("catchUp", CatchUp, default=CatchUp.NONE)
    suspend = reader.boolean("suspend")
    given = reader.raw("input")
    reader.raw("appRef")
    reader.close()
    problems.raise_if_any()
    assert target is not None
    assert timetable is not None
    return ScheduleSpec(
        target=target,
        timetable=timetable,
        input=given,
        concurrency_policy=concurrency_policy,
        starting_deadline=starting_deadline,
        jitter=jitter,
        catch_up=catch_up,
        suspend=suspend,
    )


def _target(reader: Reader) -> TargetRef | None:
    inner = reader.object(
        "targetRef", required=True, fix="write for example targetRef: {kind: Function, name: nightly}"
    )
    if inner is None:
        return None
    kind = inner.choice("kind", _Target, default=_Target.FUNCTION)
    name = inner.text("name", required=True, longest=253, fix="write the name of the Function or Workflow")
    inner.close()
    return None if name is None else TargetRef(kind=kind.value, name=name)


def _timetable(reader: Reader) -> Timetable | None:
    which = reader.one_of(("schedule", "every"), what="a schedule")
    if which == "schedule":
        return read_cron(reader)
    if which == "every":
        if reader.has("timeZone"):
            fix = "remove timeZone, or write a cron expression in schedule"
            reader.problems.add(reader.at("timeZone"), "an interval has no time zone", fix=fix)
        interval = reader.duration("every", least=timedelta(seconds=1))
        return None if interval is None else Every(interval)
    reader.raw("timeZone")
    return None
