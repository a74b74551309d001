"""The code that the README shows runs as it stands."""

import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from repo.tree import ROOT
from stepwell.testing import Sandbox

(CODE,) = re.findall(r"(?ms)^```python\n(.*?)^```$", (ROOT / "README.md").read_text())
ORDER = {"id": "o1", "total_cents": 1250}


@pytest.fixture
def shown() -> Iterator[Any]:
    """The block as a module."""
    module = types.ModuleType("shown_in_the_readme")
    sys.modules[module.__name__] = module
    exec(compile(CODE, "README.md", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


async def test_an_approved_order_is_charged(shown: Any) -> None:
    sandbox = Sandbox(shown.app)
    (run,) = await sandbox.send("order.placed", ORDER)
    await sandbox.send("approval.received", {"orderId": "o2"})
    assert run.status == "active"
    await sandbox.send("approval.received", {"orderId": "o1"})
    assert await run.result() == shown.Receipt(charge_id="charge-o1-1250")
    assert list(run.steps) == ["charge", "approve", "cooldown"]


async def test_an_order_that_nobody_approves_in_a_week_is_given_up(shown: Any) -> None:
    sandbox = Sandbox(shown.app)
    (run,) = await sandbox.send("order.placed", ORDER)
    await sandbox.advance("8d")
    assert await run.result() == shown.Receipt(charge_id=None)
