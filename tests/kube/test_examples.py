"""The examples as a person would try them in a cluster: applied, Ready, run by a real engine through the real shop."""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from harness.cluster import Cluster
from harness.dev import clean_environment, free_port
from harness.engine import EngineProcess
from harness.process import Process, wait_until
from kube.expectations import rows, wait_ready
from kube.manifests import Json, event
from kube.operator_process import OperatorProcess

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOP = EXAMPLES / "shop" / "app.py"
KINDS = (
    "stepwellapps.stepwell.dev",
    "functions.stepwell.dev",
    "workflows.stepwell.dev",
    "schedules.stepwell.dev",
)


@pytest.fixture
def manifests(tmp_path: Path) -> tuple[Path, int]:
    """The examples with the shop on a free port, as `kubectl apply -f FOLDER` takes them."""
    port = free_port()
    for path in sorted(EXAMPLES.glob("*.yaml")):
        documents: list[Json] = list(yaml.safe_load_all(path.read_text()))
        for document in documents:
            if document["kind"] == "StepwellApp":
                document["spec"]["callback"]["url"] = f"http://127.0.0.1:{port}/api/stepwell"
        (tmp_path / path.name).write_text(yaml.safe_dump_all(documents))
    return tmp_path, port


@pytest.fixture
def shop(
    cluster: Cluster,
    namespace: str,
    operator: OperatorProcess,
    manifests: tuple[Path, int],
    database_url: str,
) -> Iterator[EngineProcess]:
    """The examples applied and Ready, the shop with the key that the operator made for it, and an engine."""
    folder, port = manifests
    cluster.kubectl("apply", "-n", namespace, "-f", str(folder))
    wait_until(
        lambda: cluster.try_kubectl("get", "secret", "shop-stepwell", "-n", namespace).returncode == 0,
        "the operator made the app's Secret",
    )
    data = cluster.get("secret", "shop-stepwell", namespace=namespace)["data"]
    with EngineProcess(database_url) as engine:
        environment = {
            "SHOP_PORT": str(port),
            "STEPWELL_URL": engine.url,
            "STEPWELL_APP_ID": base64.b64decode(data["app-id"]).decode(),
            "STEPWELL_SIGNING_KEY": base64.b64decode(data["signing-key"]).decode(),
        }
        with Process([sys.executable, str(SHOP)], environment=clean_environment(environment)):
            wait_ready(cluster, namespace, *KINDS, timeout=60)
            yield engine


def test_the_examples_become_ready_and_run(
    cluster: Cluster, namespace: str, shop: EngineProcess, database_url: str
) -> None:
    order = {"orderId": "order-1", "totalCents": 4200}
    cluster.apply(event("approved", event="order.approved", data=order), namespace=namespace)
    cluster.kubectl(
        "wait", "--for=condition=Ready", "--timeout=30s", "-n", namespace, "stepwellevents.stepwell.dev", "approved"
    )
    query = "select status from stepwell.run where kind = 'workflow'"
    wait_until(lambda: rows(database_url, query) == [("completed",)], "the workflow has run", timeout=60)


def test_applying_the_examples_twice_changes_nothing(
    cluster: Cluster, namespace: str, shop: EngineProcess, manifests: tuple[Path, int]
) -> None:
    said = cluster.kubectl("apply", "-n", namespace, "-f", str(manifests[0]))
    assert {line.rpartition(" ")[2] for line in said.splitlines()} == {"unchanged"}


def test_every_example_is_shown_with_its_columns(cluster: Cluster, namespace: str, shop: EngineProcess) -> None:
    shown = cluster.kubectl("get", "stepwell", "-n", namespace)
    for words in ("ENVIRONMENT", "HANDLER", "STEPS", "TARGET", "fulfil-order", "nightly-count"):
        assert words in shown
