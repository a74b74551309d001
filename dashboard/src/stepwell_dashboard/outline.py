"""What a definition's document declares, put into words for a reader: its steps, its triggers, a schedule's rule.

Pure. The document is what the engine journaled after parsing it; should a member be missing or odd all the same, its words
are left out, and nothing is raised.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .schemas import PlannedStep, TriggerText

_KINDS = ("call", "http", "parallel", "switch", "loop", "sleep", "waitForEvent", "waitForSignal", "workflow")


def parse(document: bytes | None) -> Mapping[str, Any]:
    try:
        value = json.loads(document or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def steps(document: Mapping[str, Any]) -> list[PlannedStep]:
    """A workflow's steps in plan order, nested ones after the step that holds them. A function declares none."""
    return list(_walk(document.get("steps"), depth=0, parent=None))


def triggers(document: Mapping[str, Any]) -> list[TriggerText]:
    return [_trigger(item) for item in _list(document.get("triggers")) if isinstance(item, dict)]


def rule(document: Mapping[str, Any]) -> str:
    """A schedule's rule: its cron expression, or `every 20s`."""
    every = document.get("every")
    return f"every {every}" if every else str(document.get("schedule") or "")


def _walk(items: object, *, depth: int, parent: str | None) -> Iterator[PlannedStep]:
    for item in _list(items):
        if not isinstance(item, dict):
            continue
        name, kind = str(item.get("name", "")), next((kind for kind in _KINDS if kind in item), "step")
        own = {key: value for key, value in item.items() if key not in ("parallel", "switch")}
        yield PlannedStep(
            name=name,
            kind=kind,
            summary=_summary(kind, item.get(kind)),
            depth=depth,
            parent=parent,
            declaration=json.dumps(own, ensure_ascii=False, separators=(",", ":")),
        )
        if kind == "parallel":
            yield from _walk(item["parallel"], depth=depth + 1, parent=name)
        if kind == "switch" and isinstance(item["switch"], dict):
            for case in _list(item["switch"].get("cases")):
                yield from _walk(case.get("steps") if isinstance(case, dict) else None, depth=depth + 1, parent=name)
            yield from _walk(item["switch"].get("default"), depth=depth + 1, parent=name)


def _summary(kind: str, body: object) -> str:
    match kind, body:
        case "call" | "loop", {"handler": handler}:
            return str(handler)
        case "loop", {"call": {"handler": handler}}:
            return str(handler)
        case "http", {"url": url}:
            return str(url)
        case "http", {"service": {"name": name}}:
            return str(name)
        case "sleep", {"for": duration}:
            return str(duration)
        case "sleep", {"until": until}:
            return f"until {until}"
        case "waitForEvent", {"event": event}:
            return str(event)
        case "waitForSignal", {"signal": signal}:
            return str(signal)
        case "workflow", {"ref": {"name": name}}:
            return str(name)
        case "parallel", list():
            return f"{len(body)} branches"
    return ""


def _trigger(item: Mapping[str, Any]) -> TriggerText:
    match item:
        case {"event": {"name": name, "if": condition}} if condition:
            return TriggerText(type="event", text=f"{name} if {condition}")
        case {"event": {"name": name}}:
            return TriggerText(type="event", text=str(name))
        case {"cron": {"schedule": schedule, "timeZone": zone}} if zone:
            return TriggerText(type="cron", text=f"{schedule} {zone}")
        case {"cron": {"schedule": schedule}}:
            return TriggerText(type="cron", text=str(schedule))
        case {"http": {"method": method, "path": path}}:
            return TriggerText(type="http", text=f"{method} {path}")
        case {"completion": {"of": {"name": name}}}:
            return TriggerText(type="completion", text=f"after {name}")
    return TriggerText(type=next(iter(item), "other"), text="")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
