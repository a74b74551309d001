"""Postgres, and the only way to it.

`Journal` bundles the parts by subject; each part has one method per query file. Nothing outside this package runs SQL, and
nothing inside it decides what a run does next. Every write is one guarded statement or one short transaction; a write that
finds no row to move says so by its result: somebody else moved it, which is a normal outcome.
"""

from types import TracebackType
from typing import Self

from ..clock import Clock, Ids, SystemClock
from ..sealing import Sealer
from . import migrate as _migrate
from .control import Control
from .database import Database
from .definitions import Definitions
from .hints import Hints
from .intake import Intake
from .queue import Queue
from .retention import Retention
from .schedules import Schedules
from .views import Views
from .waits import Waits

__all__ = [
    "Control",
    "Database",
    "Definitions",
    "Hints",
    "Intake",
    "Journal",
    "Queue",
    "Retention",
    "Schedules",
    "Views",
    "Waits",
]


class Journal:
    """All of the database, by subject. `await Journal.open(url, sealer=…)`; `close()` twice is harmless.

    Raises Unavailable when Postgres can't be reached, SchemaMismatch when the schema isn't this release's, BadDataKey when
    the signing keys in it were sealed with another data key.
    """

    def __init__(self, database: Database, *, sealer: Sealer, ids: Ids) -> None:
        self.database = database
        self.definitions = Definitions(database, sealer=sealer, ids=ids)
        self.intake = Intake(database, ids=ids)
        self.queue = Queue(database)
        self.waits = Waits(database)
        self.schedules = Schedules(database, ids=ids)
        self.control = Control(database, ids=ids)
        self.retention = Retention(database)
        self.hints = Hints(database)
        self.views = Views(database)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        sealer: Sealer,
        clock: Clock | None = None,
        ids: Ids | None = None,
        size: int = 8,
        timeout: float = 10.0,
    ) -> "Journal":
        database = await Database.open(url, size=size, timeout=timeout)
        journal = cls(database, sealer=sealer, ids=ids or Ids(clock=clock or SystemClock()))
        try:
            async with database.connection() as connection:
                await _migrate.check(connection)
            await journal.definitions.check_data_key()
        except BaseException:
            await database.close()
            raise
        return journal

    async def close(self) -> None:
        await self.database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
