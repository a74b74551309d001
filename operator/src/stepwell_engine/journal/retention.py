"""What ages out: ended runs with their journals, events, and the keys that answered repeats.

Bounded batches, one process at a time, each batch a short transaction. What a run acknowledged stays until its age, counted
from its end, passes its app's retention for its status; an active run is never touched.
"""

from .database import Database, statement


class Retention:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def prune(self, *, limit: int = 500) -> int:
        """Remove up to `limit` of each kind. Answers how many rows went; 0 also when another process is at it."""
        async with self._database.transaction(duty=True) as connection:
            if await (await connection.execute(statement("retention/take_duty"))).fetchone() is None:
                return 0
            runs = (await connection.execute(statement("retention/prune_runs"), {"limit": limit})).rowcount
            events = (await connection.execute(statement("retention/prune_events"), {"limit": limit})).rowcount
            row = await (await connection.execute(statement("retention/prune_keys"), {"limit": limit})).fetchone()
        return runs + events + (int(row[0]) if row else 0)
