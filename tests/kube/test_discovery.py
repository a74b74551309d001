"""Functions that an app serves, as objects: written by discovery, given way to people, taken away when no longer served."""

import base64
import json
import re
from collections.abc import Iterator

import pytest

from harness.cluster import Cluster
from harness.process import wait_until
from kube.expectations import condition, rows, wait_for_condition, wait_ready
from kube.manifests import Json, app, call, event, function, workflow
from kube.operator_process import OperatorProcess
from kube.stand_in_app import StandInApp

APPS = "stepwellapps.stepwell.dev"
FUNCTIONS = "functions.stepwell.dev"
WORKFLOWS = "workflows.stepwell.dev"
PLACE_ORDER: Json = {
    "id": "place-order",
    "triggers": [{"event": {"name": "order.placed"}}],
    "retries": {"maxAttempts": 4},
    "timeouts": {"run": "1h30m"},
}


@pytest.fixture
def serving(cluster: Cluster, namespace: str, operator: OperatorProcess) -> Iterator[StandInApp]:
    """An app that holds the key the operator made for it, applied and Ready."""
    with StandInApp(functions=[PLACE_ORDER, {"id": "Count Stock"}], steps=["reserve-it"]) as stand_in:
        cluster.apply(app(url=stand_in.url), namespace=namespace)
        wait_ready(cluster, namespace, APPS)
        secret = cluster.get("secret", "shop-stepwell", namespace=namespace)
        stand_in.key = base64.b64decode(secret["data"]["signing-key"]).decode()
        poke(cluster, namespace)
        yield stand_in


_pokes = iter(range(1_000_000))


def poke(cluster: Cluster, namespace: str) -> None:
    value = f"stepwell.dev/reconcile-requested-at={next(_pokes)}"
    cluster.kubectl("annotate", "--overwrite", APPS, "shop", "-n", namespace, value)


def test_what_an_app_serves_becomes_a_function_object(cluster: Cluster, namespace: str, serving: StandInApp) -> None:
    found = wait_for_function(cluster, namespace, "shop-place-order")
    assert found["spec"] == {
        "appRef": {"name": "shop"},
        "handler": "place-order",
        **{key: value for key, value in PLACE_ORDER.items() if key != "id"},
    }
    assert found["metadata"]["labels"] == {"stepwell.dev/discovered": "true"}
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["blockOwnerDeletion"]) == ("StepwellApp", "shop", False)


def test_a_handler_that_is_no_resource_name_gets_a_hash_and_keeps_its_id(
    cluster: Cluster, namespace: str, serving: StandInApp
) -> None:
    wait_until(lambda: len(cluster.list(FUNCTIONS, namespace=namespace)) == 2, "both are there")
    names = {f["spec"]["handler"]: f["metadata"]["name"] for f in cluster.list(FUNCTIONS, namespace=namespace)}
    assert names["Count Stock"].startswith("shop-count-stock-")


def test_status_of_the_app_tells_its_sdk_and_counts(cluster: Cluster, namespace: str, serving: StandInApp) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    poke(cluster, namespace)
    wait_until(
        lambda: cluster.get(APPS, "shop", namespace=namespace)["status"].get("counts", {}).get("functions") == 2,
        "both functions are counted",
    )
    assert cluster.get(APPS, "shop", namespace=namespace)["status"]["sdk"]["name"] == "stand-in"


def test_an_app_whose_clock_is_wrong_says_so_and_still_serves(
    cluster: Cluster, namespace: str, serving: StandInApp
) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    serving.skew = -60.0
    poke(cluster, namespace)
    found = wait_for_condition(cluster, namespace, APPS, "shop", "EndpointReachable", "Unknown", "ClockSkewed")
    message = str((condition(found, "EndpointReachable") or {})["message"])
    assert re.search(r"the app's clock is \d\d\.\d s behind the database's: keep both machines' clocks right", message)
    assert (condition(found, "Registered") or {})["status"] == "True"
    serving.skew = 0.0
    poke(cluster, namespace)
    wait_for_condition(cluster, namespace, APPS, "shop", "EndpointReachable", "True", "Reachable")


def test_an_event_starts_a_discovered_function(
    cluster: Cluster, namespace: str, serving: StandInApp, database_url: str
) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    cluster.apply(event(), namespace=namespace)
    sent = wait_for_condition(cluster, namespace, "stepwellevents.stepwell.dev", "placed", "Ready", "True")
    assert rows(database_url, "select name from stepwell.run") == [("place-order",)]
    assert len(sent["status"]["runs"]) == 1


def test_a_field_that_a_person_owns_wins_and_is_listed_and_goes_back_when_let_go(
    cluster: Cluster, namespace: str, serving: StandInApp, database_url: str
) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    mine = {
        "apiVersion": "stepwell.dev/v1alpha1",
        "kind": "Function",
        "metadata": {"name": "shop-place-order"},
        "spec": {"retries": {"maxAttempts": 9}},
    }
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=me", "-n", namespace, "-f", "-")
    cluster.kubectl(*apply, input=json.dumps(mine))
    wait_until(lambda: attempts_in_force(database_url) == 9, "the person's value is in force")
    wait_until(
        lambda: (
            cluster.get(FUNCTIONS, "shop-place-order", namespace=namespace)["status"].get("overrides")
            == ["spec.retries.maxAttempts"]
        ),
        "the override is listed",
    )
    serving.functions[0] = {**PLACE_ORDER, "timeouts": {"run": "2h"}}
    poke(cluster, namespace)
    wait_until(lambda: run_timeout_in_force(database_url) == "2h", "what nobody owns follows the app")
    assert attempts_in_force(database_url) == 9
    cluster.kubectl(*apply, input=json.dumps({**mine, "spec": {}}))
    wait_until(lambda: attempts_in_force(database_url) == 4, "the app's value is in force again")
    wait_until(
        lambda: "overrides" not in cluster.get(FUNCTIONS, "shop-place-order", namespace=namespace)["status"],
        "no override is listed",
    )


def test_a_function_with_an_author_is_left_to_its_author(cluster: Cluster, namespace: str, serving: StandInApp) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    cluster.apply(function("mine", handler="place-order"), namespace=namespace)
    wait_for_condition(cluster, namespace, FUNCTIONS, "mine", "Ready", "True")
    wait_for_condition(cluster, namespace, FUNCTIONS, "shop-place-order", "Accepted", "False", "DuplicateHandler")


def test_a_handler_no_longer_served_says_so_and_comes_back(
    cluster: Cluster, namespace: str, serving: StandInApp, database_url: str
) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    kept, serving.functions = serving.functions, []
    poke(cluster, namespace)
    gone = wait_for_condition(cluster, namespace, FUNCTIONS, "shop-place-order", "Registered", "False", "NotServed")
    assert gone["status"]["notServedSince"]
    assert rows(database_url, "select count(*) from stepwell.trigger") == [(0,)]
    serving.functions = kept
    poke(cluster, namespace)
    wait_for_condition(cluster, namespace, FUNCTIONS, "shop-place-order", "Registered", "True")


def test_a_handler_not_served_for_a_day_takes_its_object_along(
    cluster: Cluster, namespace: str, serving: StandInApp
) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    serving.functions = []
    poke(cluster, namespace)
    wait_for_condition(cluster, namespace, FUNCTIONS, "shop-place-order", "Registered", "False", "NotServed")
    long_ago = json.dumps({"status": {"notServedSince": "2026-01-01T00:00:00Z"}})
    cluster.kubectl(
        "patch", FUNCTIONS, "shop-place-order", "-n", namespace, "--subresource=status", "--type=merge", "-p", long_ago
    )
    wait_until(
        lambda: "shop-place-order" not in {f["metadata"]["name"] for f in cluster.list(FUNCTIONS, namespace=namespace)},
        "the object is gone",
    )


def test_a_step_handler_that_the_app_lacks_is_named_with_the_nearest(
    cluster: Cluster, namespace: str, serving: StandInApp
) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    cluster.apply(workflow("w", {"name": "reserve", "call": {"handler": "reserve-itt"}}), namespace=namespace)
    found = wait_for_condition(cluster, namespace, WORKFLOWS, "w", "ResolvedRefs", "False", "HandlerNotServed")
    message = str((condition(found, "Ready") or {})["message"])
    assert "spec.steps[0].call.handler" in message
    assert "did you mean 'reserve-it'?" in message
    cluster.apply(workflow("w", call("reserve")), namespace=namespace)
    wait_for_condition(cluster, namespace, WORKFLOWS, "w", "Ready", "True")


def test_what_an_app_serves_is_refused_in_words_when_it_makes_no_sense(
    cluster: Cluster, namespace: str, serving: StandInApp
) -> None:
    wait_for_function(cluster, namespace, "shop-place-order")
    serving.functions = [{"id": "f", "timeouts": {"step": "soon"}}]
    poke(cluster, namespace)
    found = wait_for_condition(cluster, namespace, APPS, "shop", "Registered", "False", "DiscoveryRefused")
    assert "functions[0].timeouts.step" in str(condition(found, "Ready"))


def test_manual_discovery_makes_no_objects(cluster: Cluster, namespace: str, operator: OperatorProcess) -> None:
    cluster.kubectl("create", "secret", "generic", "key", "-n", namespace, "--from-literal=signing-key=the-key")
    with StandInApp(functions=[PLACE_ORDER], key="the-key") as stand_in:
        wanted = app(url=stand_in.url, discovery="Manual", signingKeySecretRef={"name": "key", "key": "signing-key"})
        cluster.apply(wanted, namespace=namespace)
        wait_for_condition(cluster, namespace, APPS, "shop", "EndpointReachable", "True")
    assert cluster.list(FUNCTIONS, namespace=namespace) == []


def wait_for_function(cluster: Cluster, namespace: str, name: str) -> Json:
    wait_until(
        lambda: name in {f["metadata"]["name"] for f in cluster.list(FUNCTIONS, namespace=namespace)},
        f"Function {name} is there",
        interval=0.1,
    )
    return wait_for_condition(cluster, namespace, FUNCTIONS, name, "Ready", "True")


def document_in_force(database_url: str) -> Json:
    ((document,),) = rows(
        database_url,
        "select r.document from stepwell.definition d"
        " join stepwell.revision r on r.definition_id = d.id and r.number = d.active_revision"
        " where d.name = 'place-order' and d.retired_at is null",
    )
    found: Json = json.loads(bytes(document))
    return found


def attempts_in_force(database_url: str) -> object:
    return document_in_force(database_url).get("retries", {}).get("maxAttempts")


def run_timeout_in_force(database_url: str) -> object:
    return document_in_force(database_url).get("timeouts", {}).get("run")
