"""The apps that speak the app's side of the golden conversations."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from stepwell import App, Event, Step, StepFailed

DID: list[str] = []
"""What steps have done, in order."""


class User(BaseModel):
    user_id: str = Field(alias="userId")
    name: str


class Loaded(BaseModel):
    name: str
    logins: int
    score: float


class Order(BaseModel):
    id: str
    total_cents: int = Field(alias="totalCents")


class Charge(BaseModel):
    charge_id: str = Field(alias="chargeId")
    at: datetime


class OutOfPaper(Exception):
    """The printer is out of paper."""


def version_1_app(**settings: Any) -> App:
    app = App("billing", **settings)

    async def load_user(name: str) -> Loaded:
        DID.append("load-user")
        return Loaded(name=name, logins=3, score=1.5)

    async def send_email(name: str) -> str:
        DID.append("send-email")
        if DID.count("send-email") == 1:
            raise OSError("the mail server is busy")
        return f"mailed {name}"

    @app.function("onboarding", on=Event("user.created"))
    async def onboarding(step: Step, user: User) -> dict[str, str]:
        loaded = await step.run("load-user", load_user, user.name)
        await step.sleep("cooldown", "90s")
        approval = await step.wait_for_event("approve", "approval.received", match={"orderId": "o1"}, timeout="7d")
        if approval is None:
            return {"mail": "", "by": "nobody"}
        assert isinstance(approval.data, dict)
        mail = await step.run("send-email", send_email, loaded.name)
        return {"mail": mail, "by": str(approval.data["by"])}

    return app


def version_2_app(**settings: Any) -> App:
    app = App("shop", **settings)

    async def charge(order: Order) -> Charge:
        DID.append("charge")
        return Charge(chargeId=f"c-{order.id}", at=datetime(2026, 7, 5, 9, tzinfo=UTC))

    async def mail(order: Order) -> str:
        DID.append("mail")
        return f"mailed {order.id}"

    async def text(order: Order) -> str:
        DID.append("sms")
        return f"texted {order.id}"

    async def print_label() -> None:
        DID.append("print")
        raise OutOfPaper("the printer is out of paper")

    @app.function(on=Event("order.placed"), max_attempts=2)
    async def fulfil(step: Step, order: Order) -> dict[str, str | None]:
        charged = await step.run("charge", charge, order)
        await step.parallel(mail=step.run.later("mail", mail, order), sms=step.run.later("sms", text, order))
        approved_by = "the printer"
        try:
            await step.run("print", print_label)
        except StepFailed:
            approval = await step.wait_for_event(
                "approve", "approval.received", match={"orderId": order.id}, timeout="24h", data=dict[str, str]
            )
            approved_by = approval.data["by"] if approval else ""
        await step.send_event("tell", "order.fulfilled", {"orderId": order.id})
        return {"chargeId": charged.charge_id, "approvedBy": approved_by or None}

    @app.step("reserve-stock")
    async def reserve(step: Step, wanted: dict[str, str]) -> dict[str, str]:
        assert step.results == {"check": True}
        return {"sku": wanted["sku"], "key": step.idempotency_key, "attempt": str(step.attempt)}

    return app
