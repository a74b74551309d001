"""Where in the user's code the SDK was called, for messages. Taken at every step, so it costs next to nothing until it is
printed.
"""

import sys
from itertools import islice
from types import CodeType


class Place(tuple[CodeType, int]):
    """A code object and the index of an instruction in it; as text "file:line"."""

    __slots__ = ()

    def __str__(self) -> str:
        code, instruction = self
        line = next(islice(code.co_positions(), instruction // 2, None))[0]
        return f"{code.co_filename}:{line or code.co_firstlineno}"


def caller(depth: int) -> Place:
    """The place that called the function which asks (`depth` 0), or one further out."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - the documented way to one frame; inspect.stack() reads source files
    return Place((frame.f_code, frame.f_lasti))
