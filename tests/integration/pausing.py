"""A database that stops where it is told to, so that two transactions can be interleaved step by step.

`Pausing` stands in for `Database`: the journal's own methods run on it, over one real connection. `before("waits/wake")`
stops ahead of that query file's statement, `before("commit")` with everything done and nothing committed.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar, cast

import psycopg

from stepwell_engine.journal import Database
from stepwell_engine.journal.database import Connection, statement

_PATIENCE = 10.0
_WRITES = re.compile(r"\b(insert into|update|delete from)\b")

T = TypeVar("T")


class Pause:
    """A place to stop at. Who comes there waits until `release`."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    async def stop(self) -> None:
        self._reached.set()
        async with asyncio.timeout(_PATIENCE):
            await self._released.wait()

    async def reached(self) -> None:
        async with asyncio.timeout(_PATIENCE):
            await self._reached.wait()

    def release(self) -> None:
        self._released.set()


class _Watched:
    """A connection or cursor whose statements are announced first."""

    def __init__(self, watched: Any, pausing: "Pausing") -> None:
        self._watched = watched
        self._pausing = pausing

    async def execute(self, query: str, *arguments: Any, **named: Any) -> Any:
        await self._pausing.arrive(query)
        return await self._watched.execute(query, *arguments, **named)

    def cursor(self, **named: Any) -> "_Watched":
        return _Watched(self._watched.cursor(**named), self._pausing)

    async def __aenter__(self) -> Self:
        await self._watched.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._watched.__aexit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watched, name)


class Pausing(Database):
    def __init__(self, url: str, connection: Connection, watcher: Connection) -> None:
        super().__init__(url, size=1, timeout=1)
        self._real = connection
        self._watcher = watcher
        self._pauses: dict[str, Pause] = {}
        self._tasks: list[asyncio.Task[Any]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["Pausing"]:  # type: ignore[override]
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as watcher,
        ):
            pausing = cls(url, connection, watcher)
            try:
                yield pausing
            finally:
                for pause in pausing._pauses.values():
                    pause.release()
                await asyncio.gather(*pausing._tasks, return_exceptions=True)

    def before(self, name: str) -> Pause:
        """Stop ahead of the statement `sql/<name>.sql`, or of the "commit"."""
        key = name if name == "commit" else statement(name)
        pause = self._pauses[key] = Pause()
        return pause

    def task(self, doing: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run it beside the test; ended with the database."""
        task = asyncio.create_task(doing)
        self._tasks.append(task)
        return task

    async def blocked(self) -> None:
        """Wait until this connection waits for a lock."""
        assert await self._blocked_before(None), "the statement ended without waiting for a lock"

    async def blocked_or_done(self, task: "asyncio.Task[Any]") -> None:
        """Wait until this connection waits for a lock, or has no need to."""
        await self._blocked_before(task)

    async def _blocked_before(self, task: "asyncio.Task[Any] | None") -> bool:
        query = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"
        async with asyncio.timeout(_PATIENCE):
            while task is None or not task.done():
                cursor = await self._watcher.execute(query, [self._real.info.backend_pid])
                if (row := await cursor.fetchone()) is not None and row[0]:
                    return True
                await asyncio.sleep(0)
        return False

    async def arrive(self, place: str) -> None:
        pause = self._pauses.pop(place, None)
        if pause is not None:
            try:
                await pause.stop()
            finally:
                self._pauses.pop(place, None)

    async def run(self, name: str, parameters: Mapping[str, object]) -> list[Any]:
        text = statement(name)
        await self.arrive(text)
        async with self._real.transaction():
            rows = await (await self._real.execute(text, parameters)).fetchall()
            if _WRITES.search(text):
                await self.arrive("commit")
            return rows

    @asynccontextmanager
    async def connection(self, *, duty: bool = False) -> AsyncIterator[Connection]:
        async with self._real.transaction():
            yield cast("Connection", _Watched(self._real, self))
            await self.arrive("commit")

    @asynccontextmanager
    async def transaction(self, *, duty: bool = False, pipelined: bool = False) -> AsyncIterator[Connection]:
        async with self.connection() as connection:
            yield connection
