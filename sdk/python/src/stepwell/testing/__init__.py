"""Tests of functions without an engine: in memory, in virtual time, in milliseconds.

    async def test_an_order_waits_for_approval() -> None:
        sandbox = Sandbox(app)
        sandbox.fake("charge", returns=Charge(id="c1"))
        run = await sandbox.start(fulfil, Order(id="o1"))
        assert run.waiting_for == "approval.received"
        await sandbox.send("approval.received", {"orderId": "o1"})
        assert (await run.result()).charge_id == "c1"

A sandbox speaks to the app as an engine does, signatures included; only time and the network are missing.
`always_replay=True` calls the handler from the top after every step, and once more at the end, so that every test is
also a test of replay. `stepwell.testing.fixtures` has a pytest fixture.
"""

from stepwell.testing.sandbox import Sandbox
from stepwell.testing.trial import Trial, TrialFailed, TrialStep, TrialWaits

__all__ = ["Sandbox", "Trial", "TrialFailed", "TrialStep", "TrialWaits"]
