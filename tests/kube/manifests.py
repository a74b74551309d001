"""Small manifests for tests."""

from typing import Any

API_VERSION = "stepwell.dev/v1alpha1"
Json = dict[str, Any]


def manifest(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def app(name: str = "shop", *, url: str = "http://127.0.0.1:9/", **spec: Any) -> Json:
    return manifest("StepwellApp", name, {"callback": {"url": url}, **spec})


def function(name: str = "place-order", *, app: str = "shop", **spec: Any) -> Json:
    return manifest("Function", name, {"appRef": {"name": app}, **spec})


def workflow(name: str = "fulfil-order", *steps: Json, app: str = "shop", **spec: Any) -> Json:
    steps = steps or (call("reserve"),)
    return manifest("Workflow", name, {"appRef": {"name": app}, "steps": list(steps), **spec})


def call(name: str, **more: Any) -> Json:
    return {"name": name, "call": {"handler": f"{name}-it"}, **more}


def schedule(name: str = "nightly", *, kind: str = "Function", target: str = "place-order", **spec: Any) -> Json:
    when = {} if "every" in spec or "schedule" in spec else {"schedule": "0 3 * * *"}
    return manifest("Schedule", name, {"targetRef": {"kind": kind, "name": target}, **when, **spec})


def event(name: str = "placed", *, app: str = "shop", event: str = "order.placed", **spec: Any) -> Json:
    return manifest("StepwellEvent", name, {"appRef": {"name": app}, "name": event, "data": {"orderId": "o1"}, **spec})
