"""What is wrong with a definition."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to change. `path` is the field as the manifest has it, such as "spec.steps[2].with.orderId"."""

    path: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}: {self.fix}"


class InvalidDefinition(InvalidInput):
    """A document that can't be put in force. `problems` holds all of them, in the order of the document."""

    code = "InvalidDefinition"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """All problems in one line, as conditions and answers show them."""
        return "; ".join(str(problem) for problem in self.problems)


class NotYetSupported(InvalidDefinition):
    """Nothing is wrong with the document, but parts that it names aren't built yet."""

    code = "NotYetSupported"


class Problems:
    """The problems found so far in one document."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._unsupported = 0

    def add(self, path: str, reason: str, *, fix: str) -> None:
        self._found.append(Problem(path=path, reason=reason, fix=fix))

    def add_refusal(self, path: str, refusal: Any) -> None:
        """Of an error that carries `reason` and `fix`."""
        self.add(path, refusal.reason, fix=refusal.fix)

    def add_unsupported(self, path: str, what: str) -> None:
        self._unsupported += 1
        self.add(path, f"{what} is not supported yet", fix="remove it for now")

    def raise_if_any(self) -> None:
        if not self._found:
            return
        if self._unsupported == len(self._found):
            raise NotYetSupported(self._found)
        raise InvalidDefinition(self._found)
