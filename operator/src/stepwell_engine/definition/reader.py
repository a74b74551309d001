"""Reads the fields of one object of a document and notes what is wrong with them.

Every method takes a field's name and gives its value, or the default when it is absent or wrong; what is wrong is
added to the problems and reading goes on, so that one pass finds everything. `close` reports the fields nobody asked
for.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from stepwell_protocol.durations import InvalidDuration, parse_duration

from .problems import Problems

Choice = TypeVar("Choice", bound=StrEnum)
MOST_LABEL = 253


class Reader:
    def __init__(self, document: Mapping[str, Any], *, path: str, problems: Problems) -> None:
        self.document = document
        self.path = path
        self.problems = problems
        self._known: set[str] = set()

    def at(self, field: str) -> str:
        return f"{self.path}.{field}"

    def has(self, field: str) -> bool:
        self._known.add(field)
        return self.document.get(field) is not None

    def raw(self, field: str, default: Any = None) -> Any:
        self._known.add(field)
        value = self.document.get(field)
        return default if value is None else value

    def text(self, field: str, *, required: bool = False, longest: int = 4096, fix: str = "write a text") -> str | None:
        value: str | None = self._typed(field, str, "a text", fix=fix, required=required)
        if value is not None and not 0 < len(value) <= longest:
            self.problems.add(
                self.at(field), f"the text has {len(value):,} characters", fix=f"write 1 to {longest:,} characters"
            )
            return None
        return value

    def integer(self, field: str, *, default: int, least: int, most: int) -> int:
        value = self.raw(field)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            reason = f"{_shown(value)} is not a whole number from {least:,} to {most:,}"
            self.problems.add(self.at(field), reason, fix=f"write for example {max(least, min(default, most))}")
            return default
        return value

    def boolean(self, field: str, *, default: bool = False) -> bool:
        value: bool | None = self._typed(field, bool, "true or false", fix="write true or false")
        return default if value is None else value

    def choice(self, field: str, kind: type[Choice], *, default: Choice) -> Choice:
        value = self.raw(field)
        if value is None:
            return default
        if value not in list(kind):
            names = ", ".join(kind)
            self.problems.add(self.at(field), f"{_shown(value)} is none of {names}", fix=f"write for example {default}")
            return default
        return kind(value)

    def duration(self, field: str, *, least: timedelta = timedelta(milliseconds=1)) -> timedelta | None:
        value = self.raw(field)
        if value is None:
            return None
        try:
            found = parse_duration(value)
        except InvalidDuration as error:
            reason, _, fix = str(error).partition(": ")
            self.problems.add(self.at(field), reason, fix=fix or "write a shorter one")
            return None
        if found < least:
            self.problems.add(self.at(field), f"{_shown(value)} is too short", fix=f"write at least {_spelled(least)}")
            return None
        return found

    def duration_or_template(self, field: str) -> timedelta | str | None:
        value = self.raw(field)
        if isinstance(value, str) and value.strip().startswith("${{"):
            return value.strip()
        return self.duration(field)

    def object(self, field: str, *, required: bool = False, fix: str = "write an object") -> "Reader | None":
        value = self._typed(field, Mapping, "an object", fix=fix, required=required)
        return None if value is None else Reader(value, path=self.at(field), problems=self.problems)

    def objects(self, field: str, *, most: int) -> Iterator["Reader"]:
        value = self._typed(field, list, "a list", fix="write a list with a dash before each entry")
        if value is None:
            return
        if len(value) > most:
            self.problems.add(self.at(field), f"{len(value)} entries are more than {most}", fix="move some elsewhere")
        for index, item in enumerate(value[:most]):
            path = f"{self.at(field)}[{index}]"
            if isinstance(item, Mapping):
                yield Reader(item, path=path, problems=self.problems)
            else:
                self.problems.add(path, f"{_shown(item)} is not an object", fix="write an object")

    def one_of(self, fields: tuple[str, ...], *, what: str) -> str | None:
        """The one field of a union that is set."""
        found = [field for field in fields if self.has(field)]
        if len(found) == 1:
            return found[0]
        reason = f"{what} has {' and '.join(found)}" if found else f"{what} has none of {', '.join(fields)}"
        self.problems.add(self.path, reason, fix=f"write exactly one of {', '.join(fields)}")
        return None

    def unsupported(self, field: str, *, what: str | None = None) -> None:
        if self.has(field):
            self.problems.add_unsupported(self.at(field), what or field)

    def parsed(self, field: str, text: str | None, parse: Callable[[str], Any], refusal: type[Exception]) -> Any:
        """Apply a parser whose error carries `reason` and `fix`."""
        if text is None:
            return None
        try:
            return parse(text)
        except refusal as error:
            self.problems.add_refusal(self.at(field), error)
            return None

    def close(self) -> None:
        for field in self.document:
            if field not in self._known:
                near = difflib.get_close_matches(str(field), self._known, n=1)
                known = ", ".join(sorted(self._known))
                fix = f"did you mean {near[0]}?" if near else f"remove it; the fields here are {known}"
                path = self.at(field) if re.fullmatch(r"\w+", str(field)) else f"{self.path}[{field!r}]"
                self.problems.add(path, "there is no such field", fix=fix)

    def _typed(self, field: str, kind: Any, name: str, *, fix: str, required: bool = False) -> Any:
        value = self.raw(field)
        if value is None:
            if required:
                self.problems.add(self.at(field), "it is missing", fix=fix)
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.problems.add(self.at(field), f"{_shown(value)} is not {name}", fix=fix)
            return None
        return value


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"


def _spelled(value: timedelta) -> str:
    return "1s" if value == timedelta(seconds=1) else "1ms"
