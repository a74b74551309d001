"""Accepted events, matched against the runs that wait for one. Poked by the gateway after each commit."""

import random
from collections.abc import Callable

from ..journal import Waits
from .service import Service

_BATCH = 200


class Router(Service):
    def __init__(
        self,
        waits: Waits,
        *,
        rest: float,
        rng: random.Random,
        work_made: Callable[[], None],
    ) -> None:
        super().__init__(name="router", rest=rest, rng=rng)
        self._waits = waits
        self._work_made = work_made

    async def tick(self) -> float | None:
        routed = await self._waits.route(limit=_BATCH)
        if routed.satisfied:
            self._work_made()
        return 0 if routed.more else None
