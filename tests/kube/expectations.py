"""What tests wait for and look up on the API server and in Postgres."""

import json
from typing import Any

import psycopg

from harness.cluster import Cluster
from harness.process import wait_until
from kube.manifests import Json


def condition(obj: Json, type: str) -> Json | None:
    for found in obj.get("status", {}).get("conditions", ()):
        if found["type"] == type:
            return dict(found)
    return None


def condition_is(obj: Json, type: str, status: str, reason: str | None = None) -> bool:
    """Whether the condition says so, about the object as it is now."""
    found = condition(obj, type)
    return (
        found is not None
        and found["status"] == status
        and (reason is None or found["reason"] == reason)
        and found["observedGeneration"] == obj["metadata"]["generation"]
    )


def wait_ready(cluster: Cluster, namespace: str, *resources: str, timeout: float = 30) -> None:
    """As a person would: `kubectl wait --for=condition=Ready`."""
    cluster.kubectl(
        "wait", "--for=condition=Ready", "-n", namespace, f"--timeout={timeout:.0f}s", ",".join(resources), "--all"
    )


def wait_for_condition(
    cluster: Cluster, namespace: str, resource: str, name: str, type: str, status: str, reason: str | None = None
) -> Json:
    """The object once its condition says so."""
    seen: list[Json] = []

    def holds() -> bool:
        seen[:] = [cluster.get(resource, name, namespace=namespace)]
        return condition_is(seen[0], type, status, reason)

    try:
        wait_until(holds, f"{resource} {name}: {type}={status} {reason or ''}", interval=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}; its status: {json.dumps(seen[0].get('status'))}") from None
    return seen[0]


def rows(database_url: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(query.encode(), arguments).fetchall()
