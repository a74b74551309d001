"""Retention: what is past its age goes, a batch at a time."""

import random

from ..journal import Retention
from .service import Service


class Pruner(Service):
    def __init__(self, retention: Retention, *, rest: float, rng: random.Random) -> None:
        super().__init__(name="pruner", rest=rest, rng=rng)
        self._retention = retention

    async def tick(self) -> float | None:
        removed = await self._retention.prune()
        if removed:
            self._log.info("%d rows were past their retention", removed)
        return 0.5 if removed else None
