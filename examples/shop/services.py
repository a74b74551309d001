"""The outside world of the shop, played: a bank, a warehouse, a mail server. Nothing durable here, and nothing of Stepwell.

What an order's id begins with decides what happens to it, so that each kind of story can be watched:
`hiccup-…` the bank is out of reach at first · `stolen-…` the card is refused · `anvil-…` no box is large enough.
"""

import asyncio
import random
import zlib


class BankUnreachable(Exception):
    """Worth another try."""


class CardRefused(Exception):
    """It will be refused again."""


class NoBoxLargeEnough(Exception):
    """It will not fit later either."""


async def take_your_time(least: float, most: float) -> None:
    """Everything outside takes a moment."""
    await asyncio.sleep(random.uniform(least, most))


async def check_card(order_id: str, *, attempt: int) -> str:
    await take_your_time(0.05, 0.3)
    if order_id.startswith("hiccup") and attempt < 3:
        raise BankUnreachable("the bank did not answer in time")
    if order_id.startswith("stolen"):
        raise CardRefused(f"the card of order {order_id} was reported stolen")
    return "ok"


async def charge(order_id: str, total_cents: int, *, idempotency_key: str) -> str:
    """The bank knows a charge by its key: asked twice, it charges once."""
    await take_your_time(0.1, 0.5)
    return f"charge-{zlib.crc32(f'{order_id} {total_cents} {idempotency_key}'.encode()):08x}"


async def pack(order_id: str) -> str:
    await take_your_time(0.2, 0.8)
    if order_id.startswith("anvil"):
        raise NoBoxLargeEnough("an anvil fits into no box of this shop")
    return f"parcel-{order_id}"
