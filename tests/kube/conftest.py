"""One control plane for all kube tests, a namespace per test, an operator where a test asks for one.

Nothing here skips: without an API server the tests fail and say what was tried. The closing lines of a test run name the
API server that was used.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cluster import Cluster
from kube.operator_process import ACCOUNT, RBAC, SYSTEM_NAMESPACE, OperatorProcess

CRDS = Path(__file__).parents[2] / "crds"
_numbers = itertools.count(1)
_used: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.kube)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for words in _used:
        terminalreporter.write_line(words)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A control plane with Stepwell's CRDs and the operator's service account."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")

    def report(line: str) -> None:
        if terminal is not None:
            terminal.write_line(f"kube assets: {line}")

    cluster = Cluster.start(report=report)
    _used.append(f"Kubernetes API server {cluster.version} ({cluster.source})")
    try:
        cluster.kubectl("apply", "-f", str(CRDS), "-f", str(RBAC))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """A namespace of the test's own, in which an operator may also keep a Lease."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    rbac = "rbac.authorization.k8s.io"
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "Role",
            "metadata": {"name": "lease", "namespace": name},
            "rules": [
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}
            ],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "lease", "namespace": name},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "lease"},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM_NAMESPACE}],
        },
    )
    return name


@pytest.fixture(scope="session")
def operator_access(cluster: Cluster) -> Path:
    """A kubeconfig that holds the operator's token and nothing else."""
    return cluster.kubeconfig_of_service_account(ACCOUNT, namespace=SYSTEM_NAMESPACE)


@pytest.fixture
def operator(database_url: str, operator_access: Path, namespace: str) -> Iterator[OperatorProcess]:
    """A running operator that works in the test's namespace."""
    with OperatorProcess(
        database_url, kubeconfig=operator_access, namespace=namespace, lease_namespace=namespace
    ) as process:
        process.wait_for_line("leads")
        yield process
        if process.running:
            process.end()
