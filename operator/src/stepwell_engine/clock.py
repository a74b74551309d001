"""Time and identity, as arguments.

Nothing in the engine asks the operating system for the time, a random number or an id directly: it is handed a `Clock`
and an `Ids`, so that the real engine can run in a deterministic simulation. What is *due* is decided by the database's
clock alone; this clock measures how long ago something happened (`monotonic`) and stamps ids.
"""

import os
import random
import time
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    def time(self) -> float:
        """Seconds since the epoch, as this machine believes."""
        ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()


class Ids:
    """UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, then 74 random bits, so ids sort by the time they were made."""

    def __init__(self, *, clock: Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._rng = rng or random.Random(os.urandom(32))  # noqa: S311 - ids are unique, not secret

    def uuid7(self) -> UUID:
        millis = int(self._clock.time() * 1000) & 0xFFFF_FFFF_FFFF
        return UUID(
            int=(millis << 80)
            | (0x7 << 76)
            | (self._rng.getrandbits(12) << 64)
            | (0b10 << 62)
            | self._rng.getrandbits(62)
        )
