"""What the chart renders, checked without a cluster. test_chart_installation.py asks a real API server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube.helm.chart import CHART, Helm, HelmFailed, Json, find_helm, of_kind, pods

ROOT = CHART.parents[1]
FREE = {"resources", "affinity", "commonLabels", "podAnnotations", "podLabels", "nodeSelector", "annotations", "global"}
EVERYTHING: Json = {
    "commonLabels": {"team": "platform"},
    "image": {"repository": "mirror/stepwell", "digest": "sha256:" + "a" * 64},
    "imagePullSecrets": [{"name": "regcred"}],
    "engine": {
        "replicas": 5,
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "x", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "high",
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "service": {"annotations": {"e": "f"}},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
    },
    "operator": {"watchNamespaces": ["shop", "mail"]},
}


@pytest.fixture(scope="module")
def helm() -> Helm:
    return find_helm()


@pytest.fixture(scope="module", params=["defaults", "everything"])
def objects(request: pytest.FixtureRequest, helm: Helm) -> list[Json]:
    return helm.render({} if request.param == "defaults" else EVERYTHING)


def test_the_chart_passes_helms_own_lint(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"engin": {}}, "engin"),
        ({"engine": {"replica": 3}}, "replica"),
        ({"secret": {"value": "hunter2"}}, "value"),
        ({"engine": {"service": {"ports": 80}}}, "ports"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"engine": {"leaseSeconds": 1}}, "leaseSeconds"),
        ({"engine": {"extraEnv": [{"nam": "A"}]}}, "nam"),
    ],
)
def test_a_value_that_the_chart_does_not_know_is_refused_by_name(helm: Helm, values: Json, named: str) -> None:
    with pytest.raises(HelmFailed, match=re.escape(named)):
        helm.render(values)


def test_values_and_their_schema_name_the_same_keys() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(_value_paths(values)) == set(_schema_paths(schema, schema)) - {"global"}


def test_no_part_of_the_schema_takes_unknown_keys() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    loose = [path for path, part in _closed(schema, "") if part.get("additionalProperties") is not False]
    assert loose == []


def test_every_value_has_a_comment_above_it() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"\s*(?!requests|limits)[A-Za-z]+:", line)]
    assert keys
    assert [lines[number] for number in keys if not lines[number - 1].lstrip().startswith("#")] == []


def test_every_pod_keeps_the_restricted_level(objects: list[Json]) -> None:
    found = dict(pods(objects))
    assert len(found) == 5
    for name, pod in found.items():
        spec = pod["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert all(set(volume) <= {"name", "emptyDir"} for volume in spec.get("volumes", [])), name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["requests"], name
            assert container["resources"]["limits"]["memory"], name


def test_only_the_operator_is_given_an_api_token(objects: list[Json]) -> None:
    mounted = {name for name, pod in pods(objects) if pod["spec"]["automountServiceAccountToken"]}
    assert mounted == {"Deployment/stepwell-operator"}
    for name, account in of_kind(objects, "ServiceAccount").items():
        assert account["automountServiceAccountToken"] is False, name


def test_every_service_and_budget_selects_the_pods_of_its_own_component(objects: list[Json]) -> None:
    deployments = of_kind(objects, "Deployment")
    selecting = [(name, each["spec"]["selector"]) for name, each in of_kind(objects, "Service").items()]
    selecting += [
        (name, each["spec"]["selector"]["matchLabels"])
        for name, each in of_kind(objects, "PodDisruptionBudget").items()
    ]
    selecting += [(name, each["spec"]["selector"]["matchLabels"]) for name, each in deployments.items()]
    assert len(selecting) == 2 + 3 + 3
    for name, selector in selecting:
        selected = [
            deployment
            for deployment, each in deployments.items()
            if selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert selected == [name]


def test_ports_that_are_referred_to_by_name_exist(objects: list[Json]) -> None:
    for name, deployment in of_kind(objects, "Deployment").items():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        ports = {port["name"] for port in container["ports"]}
        probes = [container[probe] for probe in container if probe.endswith("Probe")]
        assert {probe["httpGet"]["port"] for probe in probes} <= ports, name
    for name, service in of_kind(objects, "Service").items():
        container = of_kind(objects, "Deployment")[name]["spec"]["template"]["spec"]["containers"][0]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= {
            port["name"] for port in container["ports"]
        }


def test_secrets_are_only_referred_to(objects: list[Json]) -> None:
    assert of_kind(objects, "Secret") == {}
    secret = {"STEPWELL_DATABASE_URL", "STEPWELL_DATA_KEY", "STEPWELL_ADMIN_TOKEN"}
    seen = set()
    for name, pod in pods(objects):
        for variable in pod["spec"]["containers"][0].get("env", []):
            if variable["name"] in secret:
                seen.add(variable["name"])
                assert set(variable["valueFrom"]) == {"secretKeyRef"}, name
    assert seen == secret


def test_every_service_account_that_a_pod_names_is_rendered(objects: list[Json]) -> None:
    accounts = of_kind(objects, "ServiceAccount")
    for name, pod in pods(objects):
        if pod["spec"].get("serviceAccountName"):
            assert pod["spec"]["serviceAccountName"] in accounts, name


def test_what_the_migration_needs_is_there_before_it(objects: list[Json]) -> None:
    job = of_kind(objects, "Job")["stepwell-migrate"]
    account = of_kind(objects, "ServiceAccount")[job["spec"]["template"]["spec"]["serviceAccountName"]]
    assert _hook(job)[0] == _hook(account)[0] == {"pre-install", "pre-upgrade"}
    assert _hook(account)[1] < _hook(job)[1]


def test_the_migration_is_given_no_key(objects: list[Json]) -> None:
    (container,) = of_kind(objects, "Job")["stepwell-migrate"]["spec"]["template"]["spec"]["containers"]
    assert {each["name"] for each in container["env"]} == {"STEPWELL_DATABASE_URL", "STEPWELL_LOG_LEVEL"}


def test_the_charts_crds_are_the_repositorys(helm: Helm) -> None:
    rendered = of_kind(helm.render(), "CustomResourceDefinition")
    sources = [yaml.load(path.read_text(), Loader=yaml.CSafeLoader) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert {each["metadata"]["name"]: each["spec"] for each in sources} == {
        name: each["spec"] for name, each in rendered.items()
    }


@pytest.mark.parametrize(("keep", "policy"), [(True, "keep"), (False, None)])
def test_crds_are_kept_unless_told_otherwise(helm: Helm, keep: bool, policy: str | None) -> None:
    rendered = of_kind(helm.render({"crds": {"keep": keep}}), "CustomResourceDefinition")
    assert len(rendered) == 5
    assert {each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for each in rendered.values()} == {
        policy
    }


def test_crds_can_be_left_to_others(helm: Helm) -> None:
    assert of_kind(helm.render({"crds": {"enabled": False}}), "CustomResourceDefinition") == {}


def test_the_operator_never_lists_or_watches_secrets(objects: list[Json]) -> None:
    verbs = {verb for rule in _rules(objects) if "secrets" in rule["resources"] for verb in rule["verbs"]}
    assert verbs == {"get", "create"}
    assert [rule for rule in _rules(objects) if "*" in rule["verbs"] or "*" in rule["resources"]] == []


def test_the_operators_rights_are_those_that_the_other_tests_run_it_with(objects: list[Json]) -> None:
    tested = yaml.safe_load_all((ROOT / "operator" / "deploy" / "rbac.yaml").read_text())
    wanted = [rule for each in tested for rule in each.get("rules", ())]
    assert len(wanted) > 0
    assert sorted(_rules(objects), key=str) == sorted(wanted, key=str)


def test_watched_namespaces_bind_the_operator_there_and_nowhere_else(helm: Helm) -> None:
    objects = helm.render(EVERYTHING)
    assert of_kind(objects, "ClusterRoleBinding") == {}
    namespaces = {each["metadata"]["namespace"] for each in objects if each["kind"] == "RoleBinding"}
    assert namespaces == {"shop", "mail", "stepwell"}


def test_the_dashboard_can_be_left_out(helm: Helm) -> None:
    objects = helm.render({"dashboard": {"enabled": False}})
    assert [each["metadata"]["name"] for each in objects if "dashboard" in each["metadata"]["name"]] == []


def test_chart_image_and_distributions_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    versions = {chart["version"], chart["appVersion"]}
    for name in ("operator", "sdk/python", "dashboard"):
        found = re.search(r'^version = "(.*)"$', (ROOT / name / "pyproject.toml").read_text(), re.MULTILINE)
        assert found is not None
        versions.add(found[1])
    assert len(versions) == 1


def test_every_template_holds_one_kind_and_is_named_after_it() -> None:
    templates = [path for path in (CHART / "templates").glob("*.yaml") if path.name != "secret-check.yaml"]
    for path in templates:
        kinds = set(re.findall(r"^kind: (\S+)$", path.read_text(), re.MULTILINE)) or {_included(path)}
        if path.name.startswith("crd-"):
            assert kinds == {"CustomResourceDefinition"}
        else:
            assert path.stem.partition("-")[2] in {kind.lower() for kind in kinds}, path.name


def _included(path: Path) -> str:
    found = re.search(r'include "stepwell\.(\w+)"', path.read_text())
    assert found is not None, path.name
    return found[1]


def _hook(manifest: Json) -> tuple[set[str], int]:
    annotations = manifest["metadata"]["annotations"]
    return set(annotations["helm.sh/hook"].split(",")), int(annotations["helm.sh/hook-weight"])


def _rules(objects: list[Json]) -> list[Json]:
    roles = [
        each
        for each in objects
        if each["kind"] in {"ClusterRole", "Role"} and each["metadata"]["name"].endswith("operator")
    ]
    assert len(roles) == 2
    return [rule for role in roles for rule in role["rules"]]


def _value_paths(values: Any, path: str = "") -> Iterator[str]:
    if not isinstance(values, dict) or (path and path.rpartition(".")[2] in FREE):
        yield path
        return
    for key, value in values.items():
        yield from _value_paths(value, f"{path}.{key}" if path else key)


def _schema_paths(part: Json, schema: Json, path: str = "") -> Iterator[str]:
    if "$ref" in part:
        part = schema["definitions"][part["$ref"].rpartition("/")[2]]
    if "properties" not in part:
        yield path
        return
    for key, value in part["properties"].items():
        yield from _schema_paths(value, schema, f"{path}.{key}" if path else key)


def _closed(part: Any, path: str) -> Iterator[tuple[str, Json]]:
    match part:
        case dict():
            if "properties" in part and part.get("type") == "object":
                yield path, part
            for key, value in part.items():
                yield from _closed(value, f"{path}.{key}")
        case list():
            for number, value in enumerate(part):
                yield from _closed(value, f"{path}.{number}")
