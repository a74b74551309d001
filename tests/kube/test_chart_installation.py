"""The chart on a real API server, in a namespace that enforces the restricted Pod Security level.

There is no node. The controller manager makes the pods, so admission judges every one of them; what a node would do for the
migration job, ending its pod, `MigrationNode` does.
"""

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.cluster import Cluster
from kube.helm.chart import CHART, Helm, HelmFailed, Json, find_helm

pytestmark = pytest.mark.kube
NAMESPACE = "stepwell"
SECONDS = 60.0
KINDS = ("stepwellapps", "functions", "workflows", "schedules", "stepwellevents")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    running = Cluster.start(report=print)
    try:
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        metadata = {"name": NAMESPACE, "labels": labels}
        running.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        _eventually(
            lambda: running.try_kubectl("get", "serviceaccount", "default", "-n", NAMESPACE).returncode == 0,
            "the namespace has its default service account",
        )
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def helm(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(find_helm().binary, kubeconfig=cluster.kubeconfig, home=tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def installed(cluster: Cluster, helm: Helm) -> Iterator[str]:
    """The chart, installed; what helm and the API server said to it."""
    _make_secret(cluster)
    with MigrationNode(cluster):
        yield _helm(helm, "install")


def test_a_missing_secret_is_named_with_the_command_that_makes_it(cluster: Cluster, helm: Helm) -> None:
    with pytest.raises(
        HelmFailed, match=r'(?s)"absent" \(values: secret.name\).*kubectl create secret generic absent -n stepwell'
    ):
        _helm(helm, "install", "--set", "secret.name=absent")
    assert "stepwell" not in helm("list", "--all", "--namespace", NAMESPACE, "--short")


def test_a_missing_entry_of_the_secret_is_named(cluster: Cluster, helm: Helm) -> None:
    cluster.kubectl("create", "secret", "generic", "half", "-n", NAMESPACE, "--from-literal=database-url=x")
    with pytest.raises(HelmFailed, match=r'"half" in the namespace "stepwell" has no entry "admin-token"'):
        _helm(helm, "install", "--set", "secret.name=half")


def test_installing_is_accepted_without_a_warning(installed: str) -> None:
    assert "STATUS: deployed" in installed
    assert "warning" not in installed.lower()


def test_the_migration_ran_before_the_deployments_and_left_nothing_behind(cluster: Cluster, installed: str) -> None:
    assert cluster.list("jobs", namespace=NAMESPACE) == []
    assert "stepwell-migrate" not in {_name(each) for each in cluster.list("serviceaccounts", namespace=NAMESPACE)}


def test_every_pod_is_admitted_at_the_restricted_level(cluster: Cluster, installed: str) -> None:
    wanted = {"engine": 2, "operator": 2, "dashboard": 2}
    _eventually(lambda: _pods(cluster) == wanted, f"the pods are {wanted}")
    refused = [each for each in cluster.list("events", namespace=NAMESPACE) if "FailedCreate" in each["reason"]]
    assert refused == []


def test_an_unrestricted_pod_would_have_been_refused(cluster: Cluster, installed: str) -> None:
    done = cluster.try_kubectl("run", "root", "--image=stepwell", "-n", NAMESPACE)
    assert done.returncode != 0
    assert "violates PodSecurity" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_the_operator_may_read_every_kind_and_write_its_status(cluster: Cluster, installed: str, kind: str) -> None:
    for verb in ("get", "list", "watch"):
        assert _may(cluster, verb, f"{kind}.stepwell.dev", namespace="elsewhere")
    assert _may(cluster, "patch", f"{kind}.stepwell.dev", "--subresource=status", namespace="elsewhere")


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("list", "secrets"),
        ("watch", "secrets"),
        ("update", "secrets"),
        ("delete", "secrets"),
        ("list", "services"),
        ("create", "pods"),
        ("get", "configmaps"),
        ("create", "workflows.stepwell.dev"),
        ("delete", "workflows.stepwell.dev"),
        ("patch", "workflows.stepwell.dev"),
        ("patch", "stepwellapps.stepwell.dev"),
        ("delete", "stepwellapps.stepwell.dev"),
        ("create", "leases.coordination.k8s.io"),
        ("create", "clusterroles.rbac.authorization.k8s.io"),
    ],
)
def test_the_operator_may_not_do_what_it_has_no_need_of(
    cluster: Cluster, installed: str, verb: str, resource: str
) -> None:
    assert not _may(cluster, verb, resource, namespace="elsewhere")


def test_those_who_may_view_a_namespace_may_view_its_apps_and_not_change_them(cluster: Cluster, installed: str) -> None:
    cluster.kubectl("create", "rolebinding", "reader", "-n", "default", "--clusterrole=view", "--user=reader")
    apps = "stepwellapps.stepwell.dev"
    can = ("auth", "can-i", "--as=reader", "-n", "default")
    _eventually(lambda: cluster.try_kubectl(*can, "list", apps).returncode == 0, "the view role has been aggregated")
    assert cluster.try_kubectl(*can, "create", apps).returncode != 0


def test_an_upgrade_keeps_crds_and_custom_resources(cluster: Cluster, helm: Helm, installed: str) -> None:
    app = _apply_app(cluster)
    before = _identities(cluster)
    said = _helm(helm, "upgrade", "--set", "engine.replicas=3", "--set", "dashboard.enabled=false")
    assert "REVISION: 2" in said
    assert "warning" not in said.lower()
    assert _identities(cluster) == before
    assert _app_uid(cluster) == app
    _eventually(lambda: _pods(cluster) == {"engine": 3, "operator": 2}, "the upgrade has reached the pods")


def test_upgrading_to_the_same_values_changes_no_object(cluster: Cluster, helm: Helm, installed: str) -> None:
    _helm(helm, "upgrade")
    before = _generations(cluster)
    _helm(helm, "upgrade")
    assert _generations(cluster) == before


def test_uninstalling_keeps_crds_and_custom_resources_and_a_new_installation_takes_them_over(
    cluster: Cluster, helm: Helm, installed: str
) -> None:
    app = _apply_app(cluster)
    before = _identities(cluster)
    assert "kept due to the resource policy" in helm("uninstall", "stepwell", "--namespace", NAMESPACE, "--wait")
    assert cluster.list("deployments", namespace=NAMESPACE) == []
    assert _identities(cluster) == before
    assert _app_uid(cluster) == app
    assert "STATUS: deployed" in _helm(helm, "install")
    assert _identities(cluster) == before
    assert _app_uid(cluster) == app


class MigrationNode:
    """Ends the migration job's pods as a node would: with success. Everything else about them is the cluster's."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="migration-node")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        status = json.dumps({"status": {"phase": "Succeeded"}})
        which = ("get", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=migrate", "-o", "json")
        while not self._stopped.wait(0.3):
            found = self._cluster.try_kubectl(*which)
            for pod in json.loads(found.stdout)["items"] if found.returncode == 0 else []:
                if pod["status"]["phase"] == "Pending":
                    name = _name(pod)
                    self._cluster.try_kubectl(
                        "patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", status
                    )


def _helm(helm: Helm, verb: str, *arguments: str) -> str:
    return helm(verb, "stepwell", str(CHART), "--namespace", NAMESPACE, "--timeout", "90s", *arguments)


def _make_secret(cluster: Cluster) -> None:
    data_key = base64.b64encode(os.urandom(32)).decode()
    literals = {"database-url": "postgresql://stepwell@db/stepwell", "data-key": data_key, "admin-token": "secret"}
    entries = [f"--from-literal={key}={value}" for key, value in literals.items()]
    cluster.kubectl("create", "secret", "generic", "stepwell", "-n", NAMESPACE, *entries)


def _apply_app(cluster: Cluster) -> str:
    spec = {"callback": {"service": {"name": "shop-web", "port": 80, "path": "/api/stepwell"}}}
    cluster.apply(_object("StepwellApp", "shop", spec), namespace="default")
    return _app_uid(cluster)


def _object(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "stepwell.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _app_uid(cluster: Cluster) -> str:
    return str(cluster.get("stepwellapps.stepwell.dev", "shop", namespace="default")["metadata"]["uid"])


def _identities(cluster: Cluster) -> dict[str, str]:
    crds = json.loads(cluster.kubectl("get", "customresourcedefinitions", "-o", "json"))["items"]
    found = {_name(crd): str(crd["metadata"]["uid"]) for crd in crds}
    assert set(found) == {f"{kind}.stepwell.dev" for kind in KINDS}
    return found


def _generations(cluster: Cluster) -> dict[str, int]:
    found = cluster.list("deployments,services,poddisruptionbudgets", namespace=NAMESPACE)
    crds = json.loads(cluster.kubectl("get", "customresourcedefinitions", "-o", "json"))["items"]
    return {f"{each['kind']}/{_name(each)}": each["metadata"].get("generation", 0) for each in [*found, *crds]}


def _pods(cluster: Cluster) -> dict[str, int]:
    counts: dict[str, int] = {}
    for pod in cluster.list("pods", namespace=NAMESPACE):
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        if "deletionTimestamp" not in pod["metadata"]:
            counts[component] = counts.get(component, 0) + 1
    return counts


def _may(cluster: Cluster, verb: str, resource: str, *arguments: str, namespace: str) -> bool:
    operator = f"--as=system:serviceaccount:{NAMESPACE}:stepwell-operator"
    answer = cluster.try_kubectl("auth", "can-i", verb, resource, *arguments, "-n", namespace, operator).stdout.strip()
    assert answer in {"yes", "no"}
    return answer == "yes"


def _name(each: Json) -> str:
    return str(each["metadata"]["name"])


def _eventually(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not fact():
        assert time.monotonic() < deadline, f"not within {SECONDS:.0f} s: {what}"
        time.sleep(0.1)
