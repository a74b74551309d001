# ruff: noqa: ARG001 - a handler is given step and input, whether it needs them or not
"""A small shop whose orders survive anything.

    place-order      a function: checks the card (retried), waits for a person's approval when the order is large
    ask-for-review   a function: sleeps a while after an order was approved, then writes to the customer
    count-stock      a function: started by two schedules, every 20 seconds and once a night
    fulfil-order     a workflow declared in ../workflow.yaml, which calls the step handlers below

Run it with `make demo`, or on its own beside a `stepwell dev`: `STEPWELL_URL=http://127.0.0.1:3030 python examples/shop/app.py`.
"""

import os
from datetime import timedelta

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

import services
from stepwell import App, Event, NonRetryable, Step, SyncStep, current_step

#: As app.yaml says.
PORT = int(os.environ.get("SHOP_PORT", "3031"))
LARGE_ORDER_CENTS = 50_000

app = App("shop")


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Order(Model):
    order_id: str
    total_cents: int


class Approval(Model):
    order_id: str
    approved_by: str


class Decision(Model):
    order_id: str
    approved: bool
    approved_by: str | None


@app.function("place-order", on=Event("order.placed"), max_attempts=4)
async def place_order(step: Step, order: Order) -> Decision:
    await step.run("check-card", check_card, order.order_id)
    approved_by = "the shop"
    if order.total_cents >= LARGE_ORDER_CENTS:
        approval = await step.wait_for_event(
            "approval", "approval.received", match={"orderId": order.order_id}, timeout="2h", data=Approval
        )
        if approval is None:
            return Decision(order_id=order.order_id, approved=False, approved_by=None)
        approved_by = approval.data.approved_by
    await step.send_event("approve", "order.approved", order.model_dump(by_alias=True))
    return Decision(order_id=order.order_id, approved=True, approved_by=approved_by)


async def check_card(order_id: str) -> str:
    try:
        return await services.check_card(order_id, attempt=current_step().attempt)
    except services.CardRefused as error:
        raise NonRetryable(str(error)) from error


@app.function("ask-for-review", on=Event("order.approved"))
async def ask_for_review(step: Step, order: Order) -> str:
    await step.sleep("let-it-arrive", timedelta(minutes=2))
    return await step.run("write", write, order.order_id)


async def write(order_id: str) -> str:
    await services.take_your_time(0.05, 0.2)
    return f"Did you like {order_id}?"


class Count(Model):
    reason: str


@app.function("count-stock")
def count_stock(step: SyncStep, count: Count) -> dict[str, int]:
    shelves = step.run("count-shelves", lambda: 40)
    backroom = step.run("count-backroom", lambda: 2)
    return {"items": shelves + backroom}


class Reference(Model):
    order_id: str


class Charge(Model):
    charge_id: str


@app.step("reserve-stock")
async def reserve_stock(step: Step, order: Reference) -> dict[str, str]:
    await services.take_your_time(0.05, 0.3)
    return {"shelf": "B7"}


@app.step("release-stock")
async def release_stock(step: Step, order: Reference) -> None:
    await services.take_your_time(0.05, 0.3)


@app.step("charge-card")
async def charge_card(step: Step, order: Order) -> Charge:
    key = step.idempotency_key
    return Charge(charge_id=await services.charge(order.order_id, order.total_cents, idempotency_key=key))


@app.step("refund-card")
async def refund_card(step: Step, order: Order) -> None:
    await services.take_your_time(0.1, 0.4)


@app.step("notify-mail")
async def notify_mail(step: Step, order: Reference) -> str:
    await services.take_your_time(0.3, 1.2)
    return "sent"


@app.step("notify-sms")
async def notify_sms(step: Step, order: Reference) -> str:
    await services.take_your_time(0.1, 0.6)
    return "sent"


@app.step("pack-parcel")
async def pack_parcel(step: Step, order: Reference) -> str:
    try:
        return await services.pack(order.order_id)
    except services.NoBoxLargeEnough as error:
        raise NonRetryable(str(error)) from error


if __name__ == "__main__":
    app.serve(port=PORT, path="/api/stepwell")
