"""A pytest fixture. In a conftest.py:

    from stepwell.testing.fixtures import sandbox

    @pytest.fixture
    def stepwell_app() -> App:
        return app

Each test that takes `sandbox` then gets a fresh one for that app, twice: once as runs usually go, once with
always_replay.
"""

import pytest

from stepwell.app import App
from stepwell.testing.sandbox import Sandbox

__all__ = ["sandbox"]


@pytest.fixture(params=[False, True], ids=["live", "always-replay"])
def sandbox(request: pytest.FixtureRequest, stepwell_app: App) -> Sandbox:
    """A sandbox for the app of the fixture `stepwell_app`."""
    return Sandbox(stepwell_app, always_replay=request.param)
