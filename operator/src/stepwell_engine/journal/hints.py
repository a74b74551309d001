"""NOTIFY and LISTEN: hints that there may be work, never the truth.

A hint is sent outside every transaction that does the work, because a NOTIFY inside hot transactions serialises their
commits. Listening takes a connection of its own, direct to Postgres where a pooler stands between; without it polling carries on.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from ..errors import Unavailable
from .database import Database, Lost, statement

CHANNEL = "stepwell"


class Hints:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, names: Sequence[str]) -> None:
        """Raises Unavailable."""
        async with self._database.connection(duty=True) as connection:
            await connection.execute(statement("hints/send"), {"channel": CHANNEL, "names": list(names)})

    async def listen(self, *, interval: float) -> AsyncGenerator[str | None, None]:
        """The names as they arrive, and None every `interval` seconds without one; the first is always None, when
        listening has begun. Raises Unavailable when the connection can't be had or breaks."""
        try:
            async with await self._database.dedicated() as connection:
                await connection.execute(statement("hints/listen"))
                yield None
                while True:
                    async with aclosing(connection.notifies(timeout=interval, stop_after=1)) as notices:
                        # Several may come at once, whatever one asks for.
                        heard = [notice.payload async for notice in notices]
                    for name in heard:
                        yield name
                    if not heard:
                        yield None
        except Lost as error:
            raise Unavailable(f"listening for hints: {str(error).strip() or type(error).__name__}") from error
