"""The CRDs on a real API server: what they take, what they refuse and in which words, and how they explain themselves."""

import json
from pathlib import Path

import pytest
import yaml

from harness.cluster import Cluster
from kube.manifests import Json, app, call, event, function, schedule, workflow
from kube.refusals import REFUSALS

ROOT = Path(__file__).parents[2]
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
EXAMPLES = ROOT / "examples"


def refusal(cluster: Cluster, namespace: str, manifest: Json) -> str:
    done = cluster.try_kubectl("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump(manifest))
    assert done.returncode != 0, f"the API server took it: {done.stdout}"
    return done.stderr


def test_every_crd_is_established(cluster: Cluster) -> None:
    names = {crd["metadata"]["name"]: crd for crd in cluster.list("crd", namespace="default")}
    for path in CRDS:
        conditions = {c["type"]: c["status"] for c in names[path.stem]["status"]["conditions"]}
        assert conditions["Established"] == "True"
        assert "NonStructuralSchema" not in conditions


@pytest.mark.parametrize("path", CRDS, ids=lambda path: str(path.stem))
def test_every_crd_fits_client_side_apply(path: Path) -> None:
    assert path.stat().st_size <= 250_000


def test_applying_the_crds_twice_changes_nothing(cluster: Cluster) -> None:
    again = cluster.kubectl("apply", "-f", str(ROOT / "crds"))
    assert {line.rpartition(" ")[2] for line in again.splitlines()} == {"unchanged"}


def test_applying_the_crds_server_side_twice_keeps_their_generation(cluster: Cluster) -> None:
    arguments = ("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    cluster.kubectl(*arguments)
    before = {crd["metadata"]["name"]: crd["metadata"]["resourceVersion"] for crd in _crds(cluster)}
    cluster.kubectl(*arguments)
    assert {crd["metadata"]["name"]: crd["metadata"]["resourceVersion"] for crd in _crds(cluster)} == before


@pytest.mark.parametrize(("manifest", "words"), REFUSALS)
def test_a_bad_object_is_refused_with_the_field_and_the_fix(
    cluster: Cluster, namespace: str, manifest: Json, words: list[str]
) -> None:
    said = refusal(cluster, namespace, manifest)
    for expected in words:
        assert expected in said


@pytest.mark.parametrize(
    ("manifest", "change", "words"),
    [
        pytest.param(app(), {"environment": "prod"}, "environment can't be changed", id="environment"),
        pytest.param(function(), {"appRef": {"name": "other"}}, "appRef can't be changed", id="appRef"),
        pytest.param(function(handler="a"), {"handler": "b"}, "handler can't be changed", id="handler"),
        pytest.param(event(), {"name": "order.lost"}, "an event can't be changed once sent", id="event"),
    ],
)
def test_what_identifies_an_object_cannot_be_changed(
    cluster: Cluster, namespace: str, manifest: Json, change: Json, words: str
) -> None:
    cluster.apply(manifest, namespace=namespace)
    assert words in refusal(cluster, namespace, {**manifest, "spec": {**manifest["spec"], **change}})


def test_every_step_kind_is_in_the_schema(cluster: Cluster, namespace: str) -> None:
    steps = [
        call("reserve", compensate={"call": {"handler": "undo"}}, timeout="${{ input.timeout }}"),
        {"name": "both", "parallel": [call("a"), {"name": "b", "parallel": [call("c")]}]},
        {
            "name": "route",
            "switch": {"value": "${{ input.tier }}", "cases": [{"when": "gold", "steps": [call("g")]}], "default": []},
        },
        {"name": "poll", "loop": {"call": {"handler": "p"}, "maxIterations": 3, "until": "result.done", "every": "1s"}},
        {"name": "nap", "sleep": {"until": "${{ input.at }}"}},
        {"name": "approve", "waitForEvent": {"event": "ok", "match": {"id": "${{ input.id }}"}, "timeout": "7d"}},
        {"name": "sign", "waitForSignal": {"signal": "signoff", "timeout": "30d"}},
        {"name": "ship", "workflow": {"ref": {"name": "shipping"}}, "with": {"id": 1}},
        {"name": "audit", "http": {"service": {"name": "audit", "port": 80}, "body": {"a": [1]}, "expect": [200]}},
    ]
    cluster.apply(workflow("all", *steps, output="${{ steps.ship.output }}"), namespace=namespace)
    assert cluster.get("workflows.stepwell.dev", "all", namespace=namespace)["spec"]["steps"] == steps


def test_the_largest_workflow_that_the_bounds_allow_at_the_top_is_taken(cluster: Cluster, namespace: str) -> None:
    steps = [{"name": f"p{n}", "parallel": [call(f"s{n}-{m}") for m in range(16)]} for n in range(64)]
    cluster.apply(workflow("large", *steps), namespace=namespace)
    assert "Too many" in refusal(cluster, namespace, workflow("larger", *steps, call("last")))


def test_explain_reads_like_a_manual(cluster: Cluster) -> None:
    said = " ".join(cluster.kubectl("explain", "workflows.stepwell.dev.spec.steps").split())
    for words in ("What the workflow does, in order", "call (a handler of the app)", "waitForEvent", "-required-"):
        assert words in said


@pytest.mark.parametrize("path", CRDS, ids=lambda path: str(path.stem))
def test_every_field_of_spec_and_status_is_described(path: Path) -> None:
    crd = yaml.safe_load(path.read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert _undescribed(schema["properties"]["spec"], "spec") == []
    assert _undescribed(schema["properties"]["status"], "status") == []


@pytest.mark.parametrize("path", CRDS, ids=lambda path: str(path.stem))
def test_every_kind_has_columns_a_short_name_and_the_category(path: Path) -> None:
    spec = yaml.safe_load(path.read_text())["spec"]
    assert {"Ready", "Reason", "Age"} <= {column["name"] for column in spec["versions"][0]["additionalPrinterColumns"]}
    assert len(spec["names"]["shortNames"]) == 1
    assert spec["names"]["categories"] == ["stepwell"]
    assert spec["versions"][0]["subresources"] == {"status": {}}


def test_the_category_lists_all_kinds(cluster: Cluster, namespace: str) -> None:
    cluster.apply(app(), function(), workflow(), schedule(), event(), namespace=namespace)
    found = json.loads(cluster.kubectl("get", "stepwell", "-n", namespace, "-o", "json"))["items"]
    assert {obj["kind"] for obj in found} == {"StepwellApp", "Function", "Workflow", "Schedule", "StepwellEvent"}


def test_no_field_has_a_name_that_yaml_reads_as_a_boolean() -> None:
    names = {name for path in CRDS for name in _names(yaml.safe_load(path.read_text()))}
    assert names & {"on", "off", "yes", "no", "y", "n"} == set()


def test_the_files_are_what_the_models_say() -> None:
    from stepwell_operator.resources.crd import KINDS, render

    assert {path.name: path.read_text() for path in CRDS} == {f"{k.resource}.yaml": render(k) for k in KINDS}


def test_the_examples_are_taken(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("apply", "-n", namespace, "--dry-run=server", "-f", str(EXAMPLES))


def _crds(cluster: Cluster) -> list[Json]:
    return [c for c in cluster.list("crd", namespace="default") if c["metadata"]["name"].endswith(".stepwell.dev")]


def _undescribed(schema: Json, place: str) -> list[str]:
    missing = [] if schema.get("description") else [place]
    for name, member in schema.get("properties", {}).items():
        missing += _undescribed(member, f"{place}.{name}")
    if isinstance(schema.get("items"), dict) and "properties" in schema["items"]:
        missing += _undescribed(schema["items"], f"{place}[]")
    return missing


def _names(value: object) -> list[str]:
    if isinstance(value, dict):
        found = list(value.get("properties", {})) if isinstance(value.get("properties"), dict) else []
        return found + [name for member in value.values() for name in _names(member)]
    if isinstance(value, list):
        return [name for member in value for name in _names(member)]
    return []
