"""What an app says it serves, as declarations.

A version-2 function is its definition document beside its `id`. A version-1 function (`{"id", "trigger", …options}`) is
rewritten into one first. A document that is refused refuses the whole sync, with every problem named and nothing changed;
options of version 1 that this release doesn't carry out yet are left out and named in the answer, so that an SDK in the field
still runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..definition import InvalidDefinition, Problem, parse_function
from ..errors import InvalidInput
from ..journal.definitions import Declaration
from ..model import Kind
from .requests import SyncBody

_LATER = ("concurrency", "throttle", "rateLimit", "debounce", "batch")


def read_declarations(body: SyncBody) -> tuple[list[Declaration], list[str]]:
    """The declarations, and the paths of options that were left out. Raises InvalidDefinition or InvalidInput."""
    declarations: list[Declaration] = []
    left_out: list[str] = []
    problems: list[Problem] = []
    for position, function in enumerate(body.functions):
        name = function.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= 256 or name.startswith("$"):
            raise InvalidInput(
                "must be a text of 1 to 256 characters that does not begin with '$'", field=f"functions[{position}].id"
            )
        document = {key: value for key, value in function.items() if key != "id"}
        if body.protocol == 1:
            left_out += [f"functions[{position}].{option}" for option in _LATER if document.get(option) is not None]
            document = from_version_1(document)
        try:
            spec = parse_function(document, name=name)
        except InvalidDefinition as error:
            problems += [replace(problem, path=_placed(problem.path, position)) for problem in error.problems]
            continue
        declarations.append(
            Declaration(kind=Kind.FUNCTION, name=name, spec=spec, document=document, suspended=spec.suspend)
        )
    if problems:
        raise InvalidDefinition(problems)
    _refuse_repeated([declaration.name for declaration in declarations])
    return declarations, left_out


def from_version_1(function: Mapping[str, Any]) -> dict[str, Any]:
    """`{"trigger", "retries" | "maxAttempts", "timeout", "priority"}` as a document. `retries: n` are n + 1 attempts; a timeout
    in plain seconds is one in version 1."""
    document: dict[str, Any] = {}
    trigger = function.get("trigger")
    if isinstance(trigger, Mapping):
        if "event" in trigger:
            document["triggers"] = [{"event": {"name": trigger["event"]}}]
        elif "cron" in trigger:
            document["triggers"] = [{"cron": {"schedule": trigger["cron"], "timeZone": "UTC"}}]
    elif trigger is not None:
        document["triggers"] = trigger
    attempts = function.get("maxAttempts")
    if attempts is None and isinstance(function.get("retries"), int):
        attempts = function["retries"] + 1
    if attempts is not None:
        document["retries"] = {"maxAttempts": attempts}
    timeout = function.get("timeout")
    if timeout is not None:
        document["timeouts"] = {"step": f"{timeout}s" if isinstance(timeout, int) else timeout}
    if function.get("priority") is not None:
        document["priority"] = function["priority"]
    return document


def _placed(path: str, position: int) -> str:
    return path.replace("spec", f"functions[{position}]", 1)


def _refuse_repeated(names: Sequence[str]) -> None:
    for position, name in enumerate(names):
        if name in names[:position]:
            raise InvalidInput(f"{name!r} is named twice: ids are unique in an app", field=f"functions[{position}].id")
