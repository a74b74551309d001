"""Events on their way in, gathered into shared commits. `accept` returns after the commit of its batch.

Should the outcome of a commit be unknown, the senders of its batch are told to try again (503): with an event id of their own
that is safe, without one the event may have been accepted.
"""

import asyncio

from ..journal import Intake
from ..model import Accepted, NewEvent
from ..services.gathering import Gathering
from ..services.notifier import WorkMade

_MOST_EVENTS = 300


class Acceptor:
    def __init__(self, intake: Intake, *, work_made: WorkMade) -> None:
        self._intake = intake
        self._work_made = work_made
        self._gathering: Gathering[NewEvent, Accepted] = Gathering(
            self._commit, most=_MOST_EVENTS, flushers=2, name="acceptor"
        )

    async def accept(self, event: NewEvent) -> Accepted:
        return await self._gathering.submit(event)

    async def drain(self) -> None:
        await self._gathering.drain()

    async def _commit(self, batch: list[tuple[NewEvent, "asyncio.Future[Accepted]"]]) -> None:
        accepted = await self._intake.accept_events([event for event, _ in batch])
        for (_, future), answer in zip(batch, accepted, strict=True):
            if not future.done():
                future.set_result(answer)
        self._work_made(awaited=any(each.awaited for each in accepted))
