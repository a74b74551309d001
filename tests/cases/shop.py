"""Small functions, each showing one thing that handlers do. `test_cases.py` runs each in every way a handler can be called."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel
from typing_extensions import TypedDict

from stepwell import (
    App,
    Backoff,
    Event,
    NonRetryable,
    RetryAfter,
    Step,
    StepFailed,
    SyncStep,
    current_step,
)

app = App("cases", signing_key="key", app_id="app")

DID: list[str] = []
"""What steps have done, in order; a step that runs twice shows here."""


class Order(BaseModel):
    id: str
    cents: int


class Charge(BaseModel):
    id: str
    at: datetime


@dataclass(frozen=True)
class Parcel:
    weight: float
    tags: tuple[str, ...]


class Address(TypedDict):
    street: str


async def charge(order: Order) -> Charge:
    DID.append(f"charge {order.id}")
    return Charge(id=f"c-{order.id}", at=datetime(2026, 1, 1, tzinfo=UTC))


def pack(weight: float, *tags: str) -> Parcel:
    DID.append("pack")
    return Parcel(weight, tags)


async def note(text: str) -> str:
    await asyncio.sleep(0)
    DID.append(text)
    return text.upper()


def locate() -> Address:
    return {"street": "Main"}


@app.function(on=Event("order.placed"))
async def two_steps(step: Step, order: Order) -> str:
    paid = await step.run("charge", charge, order)
    parcel = await step.run("pack", pack, 2.5, "fragile", "up")
    return f"{paid.id} {paid.at.year} {parcel.weight} {parcel.tags[1]}"


@app.function()
async def no_steps(step: Step, order: Order) -> Order:
    return Order(id=order.id, cents=order.cents + 1)


@app.function()
async def one_name_in_a_loop(step: Step) -> list[str]:
    return [await step.run("note", note, f"n{number}") for number in range(4)]


@app.function()
async def naps(step: Step) -> int:
    await step.run("before", note, "before")
    await step.sleep("nap", "90s")
    await step.sleep("longer", timedelta(hours=1))
    await step.sleep_until("new year", datetime(2027, 1, 1, tzinfo=UTC))
    await step.run("after", note, "after")
    return 1


class Approval(BaseModel):
    order_id: str
    by: str


@app.function(on=Event("order.big"))
async def approval(step: Step, order: Order) -> str:
    found = await step.wait_for_event(
        "approve", "approval.received", match={"order_id": order.id}, timeout="7d", data=Approval
    )
    if found is None:
        await step.run("refund", note, "refund")
        return "nobody"
    return found.data.by


@app.function(max_attempts=3, backoff=Backoff("1s", growth="Constant"))
async def flaky(step: Step) -> str:
    async def third_time_lucky() -> str:
        DID.append(f"attempt {current_step().attempt}")
        if len(DID) < 3:
            raise ConnectionError("the line is busy")
        return current_step().idempotency_key

    return await step.run("call", third_time_lucky)


@app.function(max_attempts=2)
async def gives_up(step: Step) -> str:
    def declined() -> None:
        DID.append("declined")
        raise ValueError("card declined")

    try:
        await step.run("charge", declined)
    except StepFailed as failure:
        return await step.run("tell", note, f"{failure.step}: {failure.name}: {failure.message}")
    return "never"


@app.function()
async def not_worth_it(step: Step) -> None:
    def hopeless() -> None:
        DID.append("hopeless")
        raise NonRetryable("no such customer")

    await step.run("look", hopeless)


@app.function()
async def later(step: Step) -> float:
    def not_yet() -> None:
        if current_step().attempt == 1:
            raise RetryAfter(300, "rate limited")

    await step.run("try", not_yet)
    return 1.5


@app.function()
async def side_by_side(step: Step) -> tuple[str, float, dict[str, str]]:
    first, parcel = await step.parallel(step.run.later("one", note, "one"), step.run.later("two", pack, 1.0))
    named = await step.parallel(a=step.run.later("a", note, "a"), b=step.run.later("b", note, "b"))
    return first, parcel.weight, named


@app.function()
async def branches_of_steps(step: Step) -> list[str]:
    async def branch(name: str) -> str:
        await step.run(f"{name}-1", note, f"{name}-1")
        if name == "y":
            await step.sleep("nap", "10s")
        return await step.run(f"{name}-2", note, f"{name}-2")

    return list(await asyncio.gather(branch("x"), branch("y"), branch("z")))


@app.function(max_attempts=2)
async def one_branch_fails(step: Step) -> str:
    def broken() -> None:
        DID.append("broken")
        raise OSError("disk full")

    try:
        await step.parallel(bad=step.run.later("bad", broken), good=step.run.later("good", note, "good"))
    except StepFailed as failure:
        return failure.message
    return "never"


@app.function()
async def tells_others(step: Step) -> str:
    await step.run("work", note, "work")
    sent = await step.send_event("tell", "work.done", {"by": step.run_id})
    return "sent" if sent else "lost"


@app.function(on=Event("work.done"))
async def hears(step: Step) -> str:
    return await step.run("hear", note, f"heard {step.event.name}")


@app.function()
def plain(step: SyncStep, order: Order) -> str:
    paid = step.run("charge", charge, order)
    street = step.run("locate", locate)["street"]
    step.sleep("nap", 5)
    one, two = step.parallel(step.run.later("one", note, "one"), step.run.later("two", note, "two"))
    return f"{paid.id} {street} {one} {two}"


@app.function()
def plain_waits(step: SyncStep) -> str | None:
    found = step.wait_for_event("go", "go", timeout="1h")
    return None if found is None else found.name


@app.function()
async def wraps_steps_in_try(step: Step) -> str:
    seen = []
    try:
        try:
            await step.run("one", note, "one")
            await step.sleep("nap", "1s")
        except Exception:  # noqa: BLE001 - what users write; it must not swallow the end of a call
            seen.append("swallowed")
        await step.run("two", note, "two")
    finally:
        seen.append("finally")
    return ",".join(seen)


@app.function()
async def groups(step: Step) -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_noted(step, name)) for name in ("p", "q")]
    return [task.result() for task in tasks]


async def _noted(step: Step, name: str) -> str:
    await step.sleep(f"nap-{name}", "1s")
    return await step.run(name, note, name)


class Reservation(BaseModel):
    sku: str
    count: int


@app.step("reserve-stock")
async def reserve(step: Step, wanted: Reservation) -> dict[str, str]:
    return {"sku": wanted.sku, "key": step.idempotency_key, "attempt": str(step.attempt)}


@app.step("release-stock")
def release(step: SyncStep, wanted: Reservation) -> int:
    if wanted.count < 0:
        raise NonRetryable("nothing to release")
    return wanted.count
