"""The operator on a real API server and a real Postgres, under nothing but its own service account."""

import base64
import json
import signal
from pathlib import Path

import pytest

from harness.cluster import Cluster
from harness.process import wait_until
from kube.expectations import condition, rows, wait_for_condition, wait_ready
from kube.manifests import Json, app, call, event, function, manifest, schedule, workflow
from kube.operator_process import OperatorProcess
from kube.stand_in_app import StandInApp

KINDS = (
    "stepwellapps.stepwell.dev",
    "functions.stepwell.dev",
    "workflows.stepwell.dev",
    "schedules.stepwell.dev",
    "stepwellevents.stepwell.dev",
)


@pytest.fixture
def applied(cluster: Cluster, namespace: str, operator: OperatorProcess) -> list[Json]:
    """One Ready object of every kind."""
    with StandInApp() as stand_in:
        objects = [
            app(url=stand_in.url),
            function(triggers=[{"event": {"name": "order.placed"}}]),
            workflow(),
            schedule(),
            event(),
        ]
        cluster.apply(*objects, namespace=namespace)
        wait_ready(cluster, namespace, *KINDS)
        return objects


def test_every_kind_becomes_ready(cluster: Cluster, namespace: str, applied: list[Json]) -> None:
    for kind in KINDS:
        for obj in cluster.list(kind, namespace=namespace):
            assert obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
            assert condition(obj, "Reconciling") is None
            assert condition(obj, "Stalled") is None


def test_applying_twice_changes_nothing(cluster: Cluster, namespace: str, applied: list[Json]) -> None:
    before = _versions(cluster, namespace)
    said = cluster.apply(*applied, namespace=namespace)
    assert {line.rpartition(" ")[2] for line in said.splitlines()} == {"unchanged"}
    assert _versions(cluster, namespace) == before


def test_a_reconciled_object_differs_in_nothing_from_its_manifest(
    cluster: Cluster, namespace: str, applied: list[Json]
) -> None:
    for obj in applied:
        done = cluster.try_kubectl("diff", "-n", namespace, "-f", "-", input=json.dumps(obj))
        assert (done.returncode, done.stdout) == (0, "")


def test_applying_server_side_twice_changes_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": [app(), function(), workflow(), schedule()]})
    apply = ("apply", "--server-side", "-n", namespace, "-f", "-")
    cluster.kubectl(*apply, input=objects)
    wait_ready(cluster, namespace, *KINDS[1:4])
    before = {k: v for k, v in _versions(cluster, namespace).items() if not k.startswith("StepwellApp")}
    cluster.kubectl(*apply, input=objects)
    after = {k: v for k, v in _versions(cluster, namespace).items() if not k.startswith("StepwellApp")}
    assert after == before


def test_nothing_is_left_on_objects_but_status(cluster: Cluster, namespace: str, applied: list[Json]) -> None:
    for kind in KINDS:
        for obj in cluster.list(kind, namespace=namespace):
            assert "finalizers" not in obj["metadata"]
            assert set(obj["metadata"].get("annotations", {})) <= {"kubectl.kubernetes.io/last-applied-configuration"}


def test_status_belongs_to_one_field_manager(cluster: Cluster, namespace: str, applied: list[Json]) -> None:
    raw = json.loads(cluster.kubectl("get", ",".join(KINDS), "-n", namespace, "-o", "json", "--show-managed-fields"))[
        "items"
    ]
    writers = {
        m["manager"] for obj in raw for m in obj["metadata"]["managedFields"] if m.get("subresource") == "status"
    }
    assert writers == {"stepwell-operator"}


def test_a_signing_key_is_made_owned_by_the_app_and_sealed(
    cluster: Cluster, namespace: str, applied: list[Json], database_url: str
) -> None:
    secret = cluster.get("secret", "shop-stepwell", namespace=namespace)
    key = base64.b64decode(secret["data"]["signing-key"])
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "StepwellApp"
    ((sealed, app_id),) = rows(database_url, "select signing_keys, id from stepwell.app")
    assert key not in bytes(sealed)
    assert base64.b64decode(secret["data"]["app-id"]).decode() == app_id


def test_no_secret_shows_in_status_events_or_logs(
    cluster: Cluster, namespace: str, applied: list[Json], operator: OperatorProcess
) -> None:
    secret = cluster.get("secret", "shop-stepwell", namespace=namespace)
    key = base64.b64decode(secret["data"]["signing-key"]).decode()
    shown = cluster.kubectl("get", ",".join((*KINDS, "events")), "-n", namespace, "-o", "json")
    assert key not in shown
    assert key not in operator.output
    assert secret["data"]["signing-key"] not in shown + operator.output


def test_a_secret_that_a_person_names_is_used(
    cluster: Cluster, namespace: str, operator: OperatorProcess, database_url: str
) -> None:
    wanted = app(signingKeySecretRef={"name": "mine", "key": "key"})
    cluster.apply(wanted, namespace=namespace)
    stuck = wait_for_condition(cluster, namespace, KINDS[0], "shop", "ResolvedRefs", "False", "SecretNotFound")
    assert "'mine'" in str(condition(stuck, "Ready"))
    cluster.kubectl("create", "secret", "generic", "mine", "-n", namespace, "--from-literal=key=a-key-of-mine")
    cluster.kubectl("annotate", KINDS[0], "shop", "-n", namespace, "stepwell.dev/reconcile-requested-at=now")
    wait_for_condition(cluster, namespace, KINDS[0], "shop", "ResolvedRefs", "True")
    assert cluster.try_kubectl("get", "secret", "shop-stepwell", "-n", namespace).returncode != 0


@pytest.mark.parametrize(
    ("objects", "resource", "name", "reason", "words"),
    [
        pytest.param(
            [schedule(schedule="0 25 * * *")],
            KINDS[3],
            "nightly",
            "InvalidDefinition",
            ["spec.schedule", "'0 25 * * *'", 'write for example "0 3 * * *"'],
            id="an invalid cron",
        ),
        pytest.param(
            [schedule(timeZone="Europe/Amsterdamm")],
            KINDS[3],
            "nightly",
            "InvalidDefinition",
            ["spec.timeZone", "Europe/Amsterdamm"],
            id="an unknown time zone",
        ),
        pytest.param(
            [function(triggers=[{"cron": {"schedule": "every day"}}])],
            KINDS[1],
            "place-order",
            "InvalidDefinition",
            ["spec.triggers[0].cron.schedule", "write 5 fields (minute hour day-of-month month day-of-week)"],
            id="an invalid cron trigger",
        ),
        pytest.param(
            [function(app="shopp")],
            KINDS[1],
            "place-order",
            "AppNotFound",
            ["spec.appRef.name", "'shopp'", "name one of shop"],
            id="an unknown app",
        ),
        pytest.param(
            [schedule(target="place-ordre")],
            KINDS[3],
            "nightly",
            "TargetNotFound",
            ["spec.targetRef.name", "'place-ordre'"],
            id="an unknown target",
        ),
        pytest.param(
            [workflow("w", call("a", **{"with": {"x": "${{ steps.zzz.output }}"}}))],
            KINDS[2],
            "w",
            "InvalidDefinition",
            ["spec.steps[0].with.x", "there is no step 'zzz'", "the steps are a"],
            id="an unknown step",
        ),
        pytest.param(
            [
                workflow(
                    "w",
                    call("a", **{"with": {"x": "${{ steps.b.output }}"}}),
                    call("b", **{"with": {"x": "${{ steps.a.output }}"}}),
                )
            ],
            KINDS[2],
            "w",
            "InvalidDefinition",
            ["spec.steps[0].with.x", "cycle", "let each step read only steps before it"],
            id="steps in a cycle",
        ),
        pytest.param(
            [workflow("w", {"name": "a", "waitForSignal": {"signal": "go"}})],
            KINDS[2],
            "w",
            "NotYetSupported",
            ["spec.steps[0].waitForSignal"],
            id="a step kind still to come",
        ),
        pytest.param(
            [event(data={"note": "a\0b"})],
            KINDS[4],
            "placed",
            "InvalidData",
            ["spec.data"],
            id="data that can't be stored",
        ),
        pytest.param(
            [function(singleton={"mode": "Skip"})],
            KINDS[1],
            "place-order",
            "NotYetSupported",
            ["spec.singleton"],
            id="a policy still to come",
        ),
    ],
)
def test_what_the_schema_cannot_refuse_is_shown_with_field_and_fix(
    cluster: Cluster,
    namespace: str,
    operator: OperatorProcess,
    objects: list[Json],
    resource: str,
    name: str,
    reason: str,
    words: list[str],
) -> None:
    cluster.apply(app(), *([function()] if resource == KINDS[3] else []), *objects, namespace=namespace)
    obj = wait_for_condition(cluster, namespace, resource, name, "Accepted", "False", reason)
    message = str((condition(obj, "Accepted") or {})["message"])
    for expected in words:
        assert expected in message
    assert str((condition(obj, "Ready") or {})["message"]) == message
    assert condition(obj, "Stalled") is not None
    wait_until(lambda: _has_event(cluster, namespace, name, reason), "people are told by an Event")


def test_a_refused_change_leaves_the_revision_in_force(
    cluster: Cluster, namespace: str, operator: OperatorProcess, database_url: str
) -> None:
    cluster.apply(app(), workflow("w", call("a")), namespace=namespace)
    wait_for_condition(cluster, namespace, KINDS[2], "w", "Ready", "True")
    cluster.apply(workflow("w", call("a", **{"with": {"x": "${{ steps.zzz.output }}"}})), namespace=namespace)
    refused = wait_for_condition(cluster, namespace, KINDS[2], "w", "Accepted", "False")
    assert refused["status"]["revision"] == 1
    assert (condition(refused, "Registered") or {})["status"] == "True"
    assert rows(database_url, "select count(*) from stepwell.revision") == [(1,)]


def test_an_object_waits_for_its_app_and_goes_on_by_itself(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(schedule(), function(), namespace=namespace)
    wait_for_condition(cluster, namespace, KINDS[1], "place-order", "Accepted", "False", "AppNotFound")
    cluster.apply(app(), namespace=namespace)
    wait_ready(cluster, namespace, KINDS[1], KINDS[3])


def test_the_older_of_two_functions_with_one_handler_wins(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(app(), function("first", handler="h"), namespace=namespace)
    wait_for_condition(cluster, namespace, KINDS[1], "first", "Ready", "True")
    # Names decide between equals: creation times have whole seconds.
    cluster.apply(function("second", handler="h"), namespace=namespace)
    loser = wait_for_condition(cluster, namespace, KINDS[1], "second", "Accepted", "False", "DuplicateHandler")
    assert "'first'" in str(condition(loser, "Accepted"))
    cluster.kubectl("delete", KINDS[1], "first", "-n", namespace)
    wait_for_condition(cluster, namespace, KINDS[1], "second", "Ready", "True")


def test_a_deleted_object_is_retired(
    cluster: Cluster, namespace: str, operator: OperatorProcess, applied: list[Json], database_url: str
) -> None:
    cluster.kubectl("delete", ",".join(KINDS[1:4]), "--all", "-n", namespace)
    wait_until(lambda: _standing(database_url) == [], "functions, workflows and schedules are retired")
    cluster.kubectl("delete", KINDS[0], "--all", "-n", namespace)
    query = "select count(*) from stepwell.app where deleted_at is null"
    wait_until(lambda: rows(database_url, query) == [(0,)], "the app is retired")


def test_a_deletion_that_no_watch_told_is_found_by_comparing_lists(
    cluster: Cluster, namespace: str, operator_access: Path, database_url: str
) -> None:
    with OperatorProcess(
        database_url, kubeconfig=operator_access, namespace=namespace, lease_namespace=namespace
    ) as first:
        cluster.apply(app(), function(), schedule(), namespace=namespace)
        wait_ready(cluster, namespace, KINDS[1], KINDS[3])
        first.send(signal.SIGKILL)
        first.wait()
    cluster.kubectl("delete", f"{KINDS[1]},{KINDS[3]}", "--all", "-n", namespace)
    with OperatorProcess(database_url, kubeconfig=operator_access, namespace=namespace) as second:
        wait_until(lambda: _standing(database_url) == [], "what was deleted meanwhile is retired")
        second.end()


def test_an_event_starts_its_runs_and_names_them(
    cluster: Cluster, namespace: str, applied: list[Json], database_url: str
) -> None:
    sent = cluster.get(KINDS[4], "placed", namespace=namespace)
    assert [str(run_id) for (run_id,) in rows(database_url, "select id from stepwell.run")] == sent["status"]["runs"]
    assert len(sent["status"]["runs"]) == 1


@pytest.mark.parametrize("failpoint", ["after_accept:kill", "before_status:kill"])
def test_an_event_starts_its_runs_once_when_the_operator_is_killed_in_between(
    cluster: Cluster, namespace: str, operator_access: Path, database_url: str, failpoint: str
) -> None:
    with OperatorProcess(
        database_url,
        kubeconfig=operator_access,
        namespace=namespace,
        lease_namespace=namespace,
        environment={"STEPWELL_FAILPOINT": failpoint},
    ) as doomed:
        cluster.apply(app(), function(triggers=[{"event": {"name": "order.placed"}}]), namespace=namespace)
        wait_ready(cluster, namespace, KINDS[1])
        cluster.apply(event(), namespace=namespace)
        assert doomed.wait() == -signal.SIGKILL
    assert "status" not in cluster.get(KINDS[4], "placed", namespace=namespace)
    stored = rows(database_url, "select id from stepwell.run")
    with OperatorProcess(database_url, kubeconfig=operator_access, namespace=namespace) as second:
        sent = wait_for_condition(cluster, namespace, KINDS[4], "placed", "Accepted", "True")
        second.end()
    assert sent["status"]["runs"] == [str(run_id) for (run_id,) in stored]
    assert rows(database_url, "select count(*) from stepwell.run") == [(1,)]
    assert sent["status"]["duplicate"] is False


def test_an_event_with_the_id_of_another_starts_nothing_new(
    cluster: Cluster, namespace: str, operator: OperatorProcess, database_url: str
) -> None:
    cluster.apply(app(), function(triggers=[{"event": {"name": "order.placed"}}]), namespace=namespace)
    cluster.apply(event("one", id="order-1"), namespace=namespace)
    first = wait_for_condition(cluster, namespace, KINDS[4], "one", "Ready", "True")
    cluster.apply(event("two", id="order-1"), namespace=namespace)
    second = wait_for_condition(cluster, namespace, KINDS[4], "two", "Ready", "True")
    assert second["status"]["runs"] == first["status"]["runs"]
    assert second["status"]["duplicate"] is True
    assert rows(database_url, "select count(*) from stepwell.run") == [(1,)]


def test_an_accepted_event_is_deleted_when_its_time_is_over(
    cluster: Cluster, namespace: str, operator: OperatorProcess, database_url: str
) -> None:
    cluster.apply(app(), event(ttlSecondsAfterAccepted=1), namespace=namespace)
    wait_until(lambda: cluster.list(KINDS[4], namespace=namespace) == [], "the object is gone", interval=0.2)
    assert rows(database_url, "select count(*) from stepwell.event") == [(1,)]


def test_two_operators_take_turns(
    cluster: Cluster, namespace: str, operator: OperatorProcess, operator_access: Path, database_url: str
) -> None:
    with OperatorProcess(
        database_url, kubeconfig=operator_access, namespace=namespace, lease_namespace=namespace
    ) as second:
        cluster.apply(app(), function(), namespace=namespace)
        wait_ready(cluster, namespace, KINDS[1])
        assert "leads" not in second.output
        operator.end()
        second.wait_for_line("leads", timeout=10)
        cluster.apply(function("another"), namespace=namespace)
        wait_ready(cluster, namespace, KINDS[1])


def test_a_killed_operator_is_replaced_and_reconciles_within_fifteen_seconds(
    cluster: Cluster, namespace: str, operator: OperatorProcess, operator_access: Path, database_url: str
) -> None:
    cluster.apply(app(), namespace=namespace)
    wait_for_condition(cluster, namespace, KINDS[0], "shop", "Accepted", "True")
    with OperatorProcess(database_url, kubeconfig=operator_access, namespace=namespace, lease_namespace=namespace):
        operator.send(signal.SIGKILL)
        operator.wait()
        cluster.apply(function(), namespace=namespace)
        wait_ready(cluster, namespace, KINDS[1], timeout=15)


def test_two_operators_at_once_do_no_more_than_one(
    cluster: Cluster, namespace: str, operator: OperatorProcess, operator_access: Path, database_url: str
) -> None:
    """Two Leases stand in for a split: both believe to lead."""
    with OperatorProcess(database_url, kubeconfig=operator_access, namespace=namespace) as second:
        second.wait_for_line("leads")
        objects = [
            app(),
            function(triggers=[{"event": {"name": "order.placed"}}]),
            workflow(),
            schedule(),
            *(event(f"e{n}") for n in range(5)),
        ]
        cluster.apply(*objects, namespace=namespace)
        wait_ready(cluster, namespace, *KINDS[1:])
        second.end()
    assert rows(database_url, "select count(*) from stepwell.app") == [(1,)]
    assert rows(database_url, "select count(*) from stepwell.revision") == [(2,)]
    assert rows(database_url, "select count(*) from stepwell.run") == [(5,)]
    assert cluster.get("secret", "shop-stepwell", namespace=namespace)["data"]


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("list", "secrets"),
        ("watch", "secrets"),
        ("delete", "secrets"),
        ("update", "functions.stepwell.dev"),
        ("create", "stepwellapps.stepwell.dev"),
        ("patch", "stepwellapps.stepwell.dev"),
        ("list", "pods"),
        ("list", "services"),
        ("list", "configmaps"),
        ("get", "nodes"),
        ("list", "customresourcedefinitions"),
    ],
)
def test_the_operator_may_not(
    cluster: Cluster, operator_access: Path, namespace: str, verb: str, resource: str
) -> None:
    done = cluster.try_kubectl("auth", "can-i", verb, resource, "-n", namespace, kubeconfig=operator_access)
    assert done.stdout.strip() == "no"


def test_an_unreachable_app_counts_after_three_probes(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(app(url="http://127.0.0.1:9/"), namespace=namespace)
    at_first = wait_for_condition(cluster, namespace, KINDS[0], "shop", "EndpointReachable", "Unknown", "Unreachable")
    assert (condition(at_first, "Ready") or {})["status"] == "True"
    later = wait_for_condition(cluster, namespace, KINDS[0], "shop", "EndpointReachable", "False", "Unreachable")
    assert (condition(later, "Ready") or {})["reason"] == "Unreachable"


def test_an_app_with_another_key_is_told_apart_from_one_that_is_away(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    with StandInApp() as stand_in:
        stand_in.status = 401
        cluster.apply(app(url=stand_in.url), namespace=namespace)
        found = wait_for_condition(cluster, namespace, KINDS[0], "shop", "EndpointReachable", "Unknown", "Unauthorized")
    assert "signing key" in str(condition(found, "EndpointReachable"))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"type": "ExternalName", "externalName": "example.com"}, "ExternalNameRefused"),
        ({"ports": [{"port": 8080}]}, "PortNotFound"),
        (None, "ServiceNotFound"),
    ],
)
def test_a_callback_service_that_cannot_be_used_is_named(
    cluster: Cluster, namespace: str, operator: OperatorProcess, spec: Json | None, reason: str
) -> None:
    wanted = manifest("StepwellApp", "shop", {"callback": {"service": {"name": "web", "port": 80}}})
    if spec is not None:
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
        cluster.apply(service, namespace=namespace)
    cluster.apply(wanted, namespace=namespace)
    stuck = wait_for_condition(cluster, namespace, KINDS[0], "shop", "ResolvedRefs", "False", reason)
    assert "'web'" in str(condition(stuck, "Ready"))


def test_a_callback_service_gives_the_endpoint(cluster: Cluster, namespace: str, operator: OperatorProcess) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    callback = {"service": {"name": "web", "port": 80, "path": "/api/stepwell"}}
    cluster.apply(service, manifest("StepwellApp", "shop", {"callback": callback}), namespace=namespace)
    found = wait_for_condition(cluster, namespace, KINDS[0], "shop", "ResolvedRefs", "True")
    assert found["status"]["endpoint"] == f"http://web.{namespace}.svc:80/api/stepwell"


def _versions(cluster: Cluster, namespace: str) -> dict[str, str]:
    return {
        f"{obj['kind']}/{obj['metadata']['name']}": obj["metadata"]["resourceVersion"]
        for kind in KINDS
        for obj in cluster.list(kind, namespace=namespace)
    }


def _has_event(cluster: Cluster, namespace: str, name: str, reason: str) -> bool:
    return any(
        e["reason"] == reason and e["regarding"]["name"] == name
        for e in cluster.list("events.events.k8s.io", namespace=namespace)
    )


def _standing(database_url: str) -> list[tuple[object, ...]]:
    return rows(
        database_url,
        "select kind, name from stepwell.definition where retired_at is null"
        " union all select 'schedule', name from stepwell.schedule where source = 'resource'",
    )
