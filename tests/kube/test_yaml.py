"""`stepwell dev` reads YAML as kubectl does: the same text through both, compared."""

import json

import pytest

from harness.cluster import Cluster
from stepwell_operator.files.documents import BadYaml, parse

HEAD = """\
apiVersion: stepwell.dev/v1alpha1
kind: StepwellEvent
metadata: {name: read}
spec:
  appRef: {name: shop}
  name: read
  data:
"""

#: Values as they may stand behind a key.
VALUES = (
    *("yes", "no", "on", "off", "y", "n", "Yes", "NO", "On", "OFF", "Y", "N", "true", "False", "TRUE", "tRUE", "yEs"),
    *("null", "~", "Null", "NULL", "nULL", "", "'null'", '"yes"', "!!str yes", "!!str 12"),
    *("12", "+12", "-12", "0", "-0", "010", "0o10", "08", "0x1F", "0X1f", "0b101", "1_000", "1__0", "_1", "0x_1F"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551615", "-9223372036854775808"),
    *("1e3", "1E3", "1e+3", "1e-3", "1.", ".5", "-.5", "1.0", "3.25", "1.5e2", "1_0.5", "1e", "e3", ".e3", "1.2.3"),
    *("1:30", "190:20:30", "2026-07-05", "2026-07-05T09:00:00Z", "2026-07-05 09:00:00", "12h", "7d", "250ms"),
    *("a: b", "{a: yes, b: [on, 1e3]}", "[~, 1_0, x]", "'${{ input.id }}'", '"a\\tb"', "text # remark", "- 1"),
    *(
        "!!int '3'",
        "!!float 3",
        "&anchor 5",
        "|\n      two\n      lines",
        ">-\n      one\n      line",
        "=",
        "<",
        "0.1e-1",
    ),
)

#: Keys as they may stand before a value.
KEYS = (
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "true",
    "1",
    "010",
    "1.5",
    "'on'",
    "a b",
    "1:30",
    "0x10",
    "!!str on",
)


def same(one: object, other: object) -> bool:
    """Equal as JSON: a number is a number, however it is written, and never a boolean."""
    if isinstance(one, float) or isinstance(other, float):
        return isinstance(one, int | float) and isinstance(other, int | float) and float(one) == float(other)
    return json.dumps(one) == json.dumps(other)


def text(lines: list[str]) -> str:
    return HEAD + "".join(f"    {line}\n" for line in lines)


def by_kubectl(cluster: Cluster, source: str) -> object:
    said = cluster.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", input=source)
    return json.loads(said)["spec"]["data"]


def by_us(source: str) -> object:
    ((document, _),) = parse(source, source="test")
    return document["spec"]["data"]


def test_every_value_means_what_kubectl_takes_it_for(cluster: Cluster) -> None:
    usable = [value for value in VALUES if value != "a: b" and not value.startswith("- ")]
    source = text([f"v{number}: {value}" for number, value in enumerate(usable)])
    ours, theirs = by_us(source), by_kubectl(cluster, source)
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    differing = {
        value: (ours.get(f"v{n}"), theirs.get(f"v{n}"))
        for n, value in enumerate(usable)
        if not same(ours.get(f"v{n}"), theirs.get(f"v{n}"))
    }
    assert differing == {}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_means_what_kubectl_takes_it_for(cluster: Cluster, key: str) -> None:
    source = text([f"{key}: 1"])
    assert by_us(source) == by_kubectl(cluster, source)


def test_anchors_and_merges_mean_what_kubectl_takes_them_for(cluster: Cluster) -> None:
    source = text(["base: &base {a: 1, b: on}", "more: {<<: *base, b: off, c: 3}", "again: *base"])
    assert by_us(source) == by_kubectl(cluster, source)


def test_json_is_read_too(cluster: Cluster) -> None:
    source = json.dumps(
        {
            "apiVersion": "stepwell.dev/v1alpha1",
            "kind": "StepwellEvent",
            "metadata": {"name": "read"},
            "spec": {"appRef": {"name": "shop"}, "name": "read", "data": {"a": [1.5, True, None, "on"], "yes": 1}},
        }
    )
    assert by_us(source) == by_kubectl(cluster, source)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a: 1", "a: 2"], "the key 'a' stands twice"),
        (["on: 1", "'true': 2"], "the key 'true' stands twice"),
        (["a: .inf"], "not a number that JSON can hold"),
        (["a: [1"], "expected"),
        (["? [a]", ": 1"], "can't be a key"),
        (["~: 1"], "null can't be a key"),
    ],
)
def test_what_would_get_lost_is_refused_with_its_line(lines: list[str], words: str) -> None:
    with pytest.raises(BadYaml, match=words) as refused:
        by_us(text(lines))
    assert str(refused.value).startswith("test:")
