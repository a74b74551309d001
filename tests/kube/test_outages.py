"""What the operator does while something else is away, and what it has done when that is back."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from harness.cluster import Cluster
from harness.dev import free_port
from harness.engine import DATA_KEY
from harness.postgres import own_postgres
from harness.process import wait_until
from kube.expectations import condition, rows, wait_for_condition, wait_ready
from kube.manifests import app, event, function, schedule, workflow
from kube.operator_process import OperatorProcess
from stepwell_engine.journal.migrate import migrate
from stepwell_engine.local.postgres import Shutdown
from stepwell_engine.sealing import Sealer

APPS = "stepwellapps.stepwell.dev"
FUNCTIONS = "functions.stepwell.dev"
EVENTS = "stepwellevents.stepwell.dev"


def test_the_operator_goes_on_after_the_api_server_was_away(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(app(), function(), namespace=namespace)
    wait_ready(cluster, namespace, FUNCTIONS)
    cluster.stop_api_server()
    operator.wait_for_line("could not be renewed")
    cluster.start_api_server()
    cluster.apply(function("another"), namespace=namespace)
    wait_ready(cluster, namespace, FUNCTIONS)


async def test_the_operator_goes_on_after_postgres_was_away(
    cluster: Cluster, namespace: str, operator_access: Path, tmp_path: Path
) -> None:
    with own_postgres(tmp_path, options={"fsync": "off"}) as postgres:
        await migrate(postgres.cluster.url())
        with OperatorProcess(postgres.cluster.url(), kubeconfig=operator_access, namespace=namespace) as operator:
            cluster.apply(app(), function(), namespace=namespace)
            wait_ready(cluster, namespace, FUNCTIONS)
            postgres.stop(Shutdown.IMMEDIATE)
            sent = [function("another", triggers=[{"event": {"name": "order.placed"}}]), event()]
            cluster.apply(*sent, namespace=namespace)
            operator.wait_for_line("waits: ")
            assert condition(cluster.get(EVENTS, "placed", namespace=namespace), "Accepted") is None
            postgres.start()
            wait_ready(cluster, namespace, FUNCTIONS, EVENTS)
            assert rows(postgres.cluster.url(), "select count(*) from stepwell.run") == [(1,)]
            operator.end()


def test_the_operator_waits_for_a_postgres_that_comes_later(
    cluster: Cluster, namespace: str, operator_access: Path, database_url: str
) -> None:
    nowhere = "postgresql://stepwell@127.0.0.1:9/stepwell?connect_timeout=1"
    with OperatorProcess(nowhere, kubeconfig=operator_access, namespace=namespace) as operator:
        operator.wait_for_line("waiting for Postgres", timeout=60)
        operator.end()


def test_an_operator_of_all_namespaces_reconciles_each(
    cluster: Cluster, namespace: str, operator_access: Path, database_url: str
) -> None:
    with OperatorProcess(database_url, kubeconfig=operator_access, namespace="") as operator:
        cluster.apply(app(), function(), workflow(), schedule(), namespace=namespace)
        wait_ready(cluster, namespace, FUNCTIONS, "workflows.stepwell.dev", "schedules.stepwell.dev")
        operator.end()


def test_the_operator_answers_the_probes_of_the_kubelet(
    cluster: Cluster, namespace: str, operator_access: Path, database_url: str
) -> None:
    port = free_port()
    with OperatorProcess(
        database_url, kubeconfig=operator_access, namespace=namespace, environment={"STEPWELL_PORT": str(port)}
    ) as operator:
        operator.wait_for_line("leads")
        assert _status(f"http://127.0.0.1:{port}/healthz") == 200
        assert _status(f"http://127.0.0.1:{port}/readyz") == 200
        operator.end()


def test_an_operator_without_its_rights_says_which_it_lacks_and_goes_on_with_them(
    cluster: Cluster, namespace: str, database_url: str
) -> None:
    cluster.kubectl("create", "serviceaccount", "powerless", "-n", namespace)
    access = cluster.kubeconfig_of_service_account("powerless", namespace=namespace)
    with OperatorProcess(database_url, kubeconfig=access, namespace=namespace, lease_namespace=namespace) as operator:
        said = operator.wait_for_line("forbidden")
        assert "leases" in said
        account = f"--serviceaccount={namespace}:powerless"
        cluster.kubectl("create", "rolebinding", "powers", "-n", namespace, "--clusterrole=cluster-admin", account)
        operator.wait_for_line("leads")
        cluster.apply(app(), namespace=namespace)
        wait_for_condition(cluster, namespace, APPS, "shop", "Accepted", "True")
        operator.end()


def test_a_missing_setting_is_named(operator_access: Path) -> None:
    with OperatorProcess("", kubeconfig=operator_access, namespace="default") as operator:
        assert operator.wait() == 1
        assert "STEPWELL_DATABASE_URL" in operator.output
        assert "Traceback" not in operator.output


def test_an_unusable_kubeconfig_is_named(tmp_path: Path, database_url: str) -> None:
    with OperatorProcess(database_url, kubeconfig=tmp_path / "nothing", namespace="default") as operator:
        assert operator.wait() == 1
        assert "kubeconfig" in operator.output
        assert "Traceback" not in operator.output


@pytest.mark.parametrize(("policy", "status"), [("Cancel", "cancelled"), ("Orphan", "active")])
def test_a_deleted_app_does_with_its_runs_what_it_said(
    cluster: Cluster, namespace: str, operator: OperatorProcess, database_url: str, policy: str, status: str
) -> None:
    triggered = function(triggers=[{"event": {"name": "order.placed"}}])
    cluster.apply(app(deletionPolicy=policy), triggered, event(), namespace=namespace)
    wait_ready(cluster, namespace, EVENTS)
    cluster.kubectl("delete", f"{APPS},{FUNCTIONS},{EVENTS}", "--all", "-n", namespace)
    gone = "select count(*) from stepwell.app where deleted_at is null"
    wait_until(lambda: rows(database_url, gone) == [(0,)], "the app is retired")
    assert rows(database_url, "select status from stepwell.run") == [(status,)]


def test_a_key_that_is_being_replaced_is_accepted_beside_the_new_one(
    cluster: Cluster, namespace: str, operator: OperatorProcess, database_url: str
) -> None:
    cluster.apply(app(), namespace=namespace)
    wait_for_condition(cluster, namespace, APPS, "shop", "Accepted", "True")
    patch = '{"stringData": {"signing-key": "the-new-key", "signing-key-previous": "the-old-key"}}'
    cluster.kubectl("patch", "secret", "shop-stepwell", "-n", namespace, "--type=merge", "-p", patch)
    cluster.kubectl("annotate", APPS, "shop", "-n", namespace, "stepwell.dev/reconcile-requested-at=now")
    wait_until(lambda: _signing_keys(database_url) == ("the-new-key", "the-old-key"), "both keys are known")


def _signing_keys(database_url: str) -> tuple[str, ...]:
    ((app_id, sealed),) = rows(database_url, "select id, signing_keys from stepwell.app")
    return Sealer.from_base64(DATA_KEY).open(bytes(sealed), app_id=str(app_id))


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
