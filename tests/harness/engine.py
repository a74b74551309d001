"""A real engine process: `stepwell-engine run` on a database, killed or frozen at will."""

import base64
import signal
import sys
from collections.abc import Mapping

import psutil

from .dev import clean_environment
from .process import Process, wait_until

DATA_KEY = base64.b64encode(bytes(range(32))).decode()


class EngineProcess(Process):
    """Listens on a free port on loopback, in dev mode. `url` is its gateway."""

    def __init__(self, database_url: str, *, lease: float = 2.0, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(
            [sys.executable, "-m", "stepwell_engine", "run"],
            environment=clean_environment(
                {
                    "STEPWELL_DATABASE_URL": database_url,
                    "STEPWELL_DATA_KEY": DATA_KEY,
                    "STEPWELL_DEV": "1",
                    "STEPWELL_PORT": "0",
                    "STEPWELL_LEASE_SECONDS": str(lease),
                    "STEPWELL_DRAIN_SECONDS": "3",
                    **(environment or {}),
                }
            ),
        )
        address = self.wait_for_line("stepwell-engine listens on").rpartition(" ")[2]
        self.url = f"http://{address}"

    def wait_until_frozen(self, *, timeout: float = 30) -> None:
        """Until it has stopped itself at a failpoint."""
        process = psutil.Process(self.pid)
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "the engine is frozen", timeout=timeout)

    def wake(self) -> None:
        self.send(signal.SIGCONT)
