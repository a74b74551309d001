"""The systems that are measured, each behind the same few methods."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from benchmarks.load import Finished


class System(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def groups(self) -> Mapping[str, int]:
        """The root process of each group whose CPU is told: engine, app, database. Only while it runs."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Start everything; end everything."""

    async def flows(self, numbers: Iterator[int], *, concurrency: int, steps: int) -> list[Finished]:
        """Run one flow per number, `concurrency` at once. With one at a time each one's end is its durable end; with
        more it may be told a moment early, and `settled` waits for the rest."""

    async def settled(self) -> None:
        """Returns when all that was started is durably done."""
