"""`make demo`, as a newcomer sees it: within half a minute there is something of everything, and Ctrl-C leaves nothing."""

import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.dev import clean_environment, free_port, get_json
from harness.process import Process, alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

EXAMPLES = Path(__file__).parents[2] / "examples"

Run = dict[str, Any]

SIGHTS: dict[str, Callable[[Run], bool]] = {
    "a completed function run": lambda run: (run["kind"], run["status"]) == ("function", "completed"),
    "a completed workflow run": lambda run: (run["kind"], run["status"]) == ("workflow", "completed"),
    "a sleeping run": lambda run: run["activity"] == "sleeping",
    "a waiting run": lambda run: run["activity"] == "waiting",
    "a failed function run": lambda run: (run["kind"], run["status"]) == ("function", "failed"),
    "a failed workflow run": lambda run: (run["kind"], run["status"]) == ("workflow", "failed"),
    "a run of a schedule": lambda run: run["trigger"] == "schedule",
}


class Demo:
    """The demo on ports and data of its own: a copy of the examples, with the shop's port changed."""

    def __init__(self, folder: Path) -> None:
        examples, self.data, shop = folder / "examples", folder / "data", free_port()
        shutil.copytree(EXAMPLES, examples)
        manifest = examples / "app.yaml"
        manifest.write_text(manifest.read_text().replace("127.0.0.1:3031", f"127.0.0.1:{shop}"))
        self.url = f"http://127.0.0.1:{free_port()}"
        self._script = examples / "shop" / "demo.py"
        self._environment = clean_environment(
            {
                "STEPWELL_PORT": self.url.rpartition(":")[2],
                "STEPWELL_DATA_DIR": str(self.data),
                "SHOP_PORT": str(shop),
            }
        )

    def start(self) -> Process:
        process = Process([sys.executable, str(self._script)], environment=self._environment)
        process.wait_for_line("Dashboard", timeout=90)
        return process

    def runs(self) -> list[Run]:
        found: list[Run] = get_json(f"{self.url}/api/v1/runs?limit=200")["items"]
        return found

    def missing(self) -> list[str]:
        runs = self.runs()
        missing = [sight for sight, shown in SIGHTS.items() if not any(shown(run) for run in runs)]
        return missing if self.retried() else [*missing, "a run that succeeded after retries"]

    def retried(self) -> list[str]:
        """The completed runs that needed more than one attempt at a step."""
        completed = [run for run in self.runs() if run["status"] == "completed" and run["definition"] == "place-order"]
        journals = {run["id"]: get_json(f"{self.url}/api/v1/runs/{run['id']}") for run in completed}
        return [run_id for run_id, journal in journals.items() if "attempt_failed" in str(journal)]


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


def test_a_newcomer_sees_everything_within_half_a_minute_and_ctrl_c_leaves_nothing(demo: Demo) -> None:
    with demo.start() as process:
        shown = time.monotonic()
        while (missing := demo.missing()) and time.monotonic() - shown < 30:
            time.sleep(0.5)
        assert not missing, f"after half a minute there is no {', no '.join(missing)}:\n{process.output}"
        before = {run["id"] for run in demo.runs()}
        family = process.family()
        assert len(family) >= 6
        process.send(signal.SIGINT)
        assert process.wait() == 0
        assert not any(alive(child) for child in family)
    began = time.monotonic()
    with demo.start():
        assert time.monotonic() - began < 15
        assert before <= {run["id"] for run in demo.runs()}
