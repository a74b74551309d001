"""A real operator process, under the service account and the rules of operator/deploy/rbac.yaml."""

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
    """Works in one namespace. Its Lease is the one that all operators of the cluster stand for."""

    def __init__(
        self,
        database_url: str,
        *,
        kubeconfig: Path,
        namespace: str,
        resync: float = 60.0,
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
                    "STEPWELL_NAMESPACE": SYSTEM_NAMESPACE,
                    "STEPWELL_WATCH_NAMESPACES": namespace,
                    "STEPWELL_RESYNC_SECONDS": str(resync),
                    **(environment or {}),
                }
            ),
        )
