"""The shop's customers, and the person who approves large orders: a trickle of events until it is stopped.

It begins with one order of each kind, so that everything there is to see shows within half a minute. A large order is
approved after three quarters of a minute; there is always one that waits.
"""

import asyncio
import itertools
import time
from collections import deque

from stepwell import Client

EVERY_SECONDS = 4.0
APPROVED_AFTER_SECONDS = 45.0
LARGE, SMALL = 75_000, 2_495
STORIES = (
    ("tea", SMALL),
    ("hiccup", SMALL),
    ("stolen", SMALL),
    ("sofa", LARGE),
    ("anvil", SMALL),
    ("mug", SMALL),
)


async def main() -> None:
    number = itertools.count(int(time.time()) % 1_000_000)
    waiting: deque[tuple[float, str]] = deque()
    async with Client() as client:
        await client.register("shop")
        for turn in itertools.count():
            what, cents = STORIES[turn % len(STORIES)]
            order = f"{what}-{next(number)}"
            await client.send("order.placed", {"orderId": order, "totalCents": cents})
            if cents == LARGE:
                waiting.append((time.monotonic() + APPROVED_AFTER_SECONDS, order))
            while len(waiting) > 1 and waiting[0][0] < time.monotonic():
                order = waiting.popleft()[1]
                await client.send("approval.received", {"orderId": order, "approvedBy": "Ada"})
            if turn >= len(STORIES):
                await asyncio.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())
