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

_TAIL_BITS = 74
_STEP_BITS = 48


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
    """UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, then 74 random bits, so ids sort by the time they were made. Those of
    one millisecond go up from a random number by random steps (RFC 9562, 6.2, method 2), so that the events and runs of one
    batch keep their order."""

    def __init__(self, *, clock: Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._rng = rng or random.Random(os.urandom(32))  # noqa: S311 - ids are unique, not secret
        self._millis = -1
        self._tail = 0

    def uuid7(self) -> UUID:
        millis = int(self._clock.time() * 1000) & 0xFFFF_FFFF_FFFF
        if millis == self._millis:
            self._tail += 1 + self._rng.getrandbits(_STEP_BITS)
        else:
            # The top bit is left free, so that no millisecond's ids can run over.
            self._millis, self._tail = millis, self._rng.getrandbits(_TAIL_BITS - 1)
        return UUID(
            int=(millis << 80)
            | (0x7 << 76)
            | ((self._tail >> 62) << 64)
            | (0b10 << 62)
            | (self._tail & ((1 << 62) - 1))
        )
