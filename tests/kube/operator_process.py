"""A real operator process, under the service account and the rules of operator/deploy/rbac.yaml."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.dev import clean_environment
from harness.engine import DATA_KEY
from harness.process import Process

RBAC = Path(__file__).parents[2] / "operator" / "deploy" / "rbac.yaml"
SYSTEM_NAMESPACE = "stepwell-system"
ACCOUNT = "stepwell-operator"


class OperatorProcess(Process):
    """Works in one namespace, or in all of them when it is empty. Its Lease is in `lease_namespace`, by default the one
    that deployed operators stand for: after a kill the next one has to wait until it runs out."""

    def __init__(
        self,
        database_url: str,
        *,
        kubeconfig: Path,
        namespace: str,
        lease_namespace: str = SYSTEM_NAMESPACE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            [sys.executable, "-m", "stepwell_operator"],
            environment=clean_environment(
                {
                    "KUBECONFIG": str(kubeconfig),
                    "STEPWELL_DATABASE_URL": database_url,
                    "STEPWELL_DATA_KEY": DATA_KEY,
                    "STEPWELL_HOST": "127.0.0.1",
                    "STEPWELL_PORT": "0",
                    "STEPWELL_LOG_FORMAT": "text",
                    "STEPWELL_NAMESPACE": lease_namespace,
                    "STEPWELL_WATCH_NAMESPACES": namespace,
                    **(environment or {}),
                }
            ),
        )

    def end(self) -> None:
        """A clean stop, which gives the Lease back."""
        self.send(signal.SIGTERM)
        assert self.wait() == 0, self.output
