"""Where in the user's code the SDK was called, for messages. Taken at every step, so it costs next to nothing until it is
printed.
"""

import sys
from itertools import islice
from types import CodeType
from typing import NamedTuple


class Place(NamedTuple):
    """An instruction of the user's code; as text "file:line"."""

    code: CodeType
    instruction: int

    def __str__(self) -> str:
        line = next(islice(self.code.co_positions(), self.instruction // 2, None))[0]
        return f"{self.code.co_filename}:{line or self.code.co_firstlineno}"


def caller(depth: int) -> Place:
    """The place that called the function which asks (`depth` 0), or one further out."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - the documented way to one frame; inspect.stack() reads source files
    return Place(frame.f_code, frame.f_lasti)
