"""What every route is handed: the journal, the tail, and whom to tell of new work. Kept in `app.state.context`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from pydantic import AfterValidator, StringConstraints

from stepwell_engine.journal import Journal

from .access import Access, Attempts
from .figures import Figures
from .tail import Tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`work_made` is called after a commit that made work for a worker; the engine's polling finds it anyhow."""

    journal: Journal
    tail: Tail
    figures: Figures
    access: Access
    attempts: Attempts
    work_made: Callable[[], None]


def _context(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds the character U+0000, which cannot be stored: remove it")
    return value


Here = Annotated[Context, Depends(_context)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_without_nul)]
