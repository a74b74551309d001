"""The chart as the tests use it: rendered to objects without a cluster, or driven by the real helm against one."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kube.helm import ensure_helm

CHART = Path(__file__).resolve().parents[3] / "charts" / "stepwell"
Json = dict[str, Any]


class HelmFailed(Exception):
    """helm ended with a status other than 0; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Helm:
    """One helm binary, with a cluster or without."""

    binary: Path
    kubeconfig: Path | None = None
    home: Path | None = None

    def __call__(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """Run helm and give what it printed, warnings included; raises HelmFailed."""
        command = [str(self.binary), *arguments, *(["--values", "-"] if values is not None else [])]
        home = str(self.home or "/nonexistent")
        environment = {"HOME": home, "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home}
        if self.kubeconfig is not None:
            environment["KUBECONFIG"] = str(self.kubeconfig)
        done = subprocess.run(
            command,
            input=yaml.safe_dump(dict(values)) if values is not None else None,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
        )
        if done.returncode != 0:
            raise HelmFailed(done.stdout)
        return done.stdout

    def render(self, values: Mapping[str, Any] | None = None) -> list[Json]:
        """Every object of the chart, hooks and tests included, in the namespace `stepwell`; raises HelmFailed."""
        text = self("template", "stepwell", str(CHART), "--namespace", "stepwell", values=values or {})
        return [document for document in yaml.load_all(text, Loader=_Loader) if document]


def find_helm() -> Helm:
    return Helm(ensure_helm(report=print).path)


def of_kind(objects: list[Json], kind: str) -> dict[str, Json]:
    """The objects of one kind by name; two of one name in different namespaces are an error here."""
    found = [each for each in objects if each["kind"] == kind]
    named = {str(each["metadata"]["name"]): each for each in found}
    assert len(named) == len(found), f"two objects of kind {kind} share a name"
    return named


def pods(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    """Every pod that the objects would make, as (kind/name, {metadata, spec})."""
    for each in objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        match each["kind"]:
            case "Deployment" | "Job":
                yield name, each["spec"]["template"]
            case "Pod":
                yield name, each


class _Loader(yaml.CSafeLoader):
    """Reads CRDs in reasonable time."""
