"""The pytest fixture of the testing kit."""

import pytest

from stepwell import App, Step
from stepwell.testing import Sandbox
from stepwell.testing.fixtures import sandbox

__all__ = ["sandbox"]

app = App("fixtures")


@app.function()
async def double(step: Step, given: int) -> int:
    return await step.run("double", lambda: given * 2)


@pytest.fixture
def stepwell_app() -> App:
    return app


async def test_each_test_runs_live_and_replayed(sandbox: Sandbox) -> None:
    run = await sandbox.start(double, 21)
    assert await run.result() == 42
    assert run.calls == (3 if sandbox._always_replay else 1)
