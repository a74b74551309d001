"""Which events satisfy a wait."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_engine.matching import is_subset

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=2), json_values, max_size=4)


@pytest.mark.parametrize(
    ("match", "data", "verdict"),
    [
        (None, {"a": 1}, True),
        (None, None, True),
        ({}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": {}}, {"a": {"b": 1}}, True),
        ({"a": {}}, {"a": []}, False),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, False),
        ({"a": [1]}, {"a": [True]}, False),
        ({"a": 1}, None, False),
        ({"a": 1}, [1], False),
        ({"a": 1}, "a", False),
    ],
)
def test_a_match_is_a_subset_of_the_events_data(match: Any, data: Any, verdict: bool) -> None:
    assert is_subset(match, data) is verdict


@given(json_objects)
def test_every_object_matches_itself(data: Any) -> None:
    assert is_subset(data, data)


@given(json_objects, json_objects)
def test_more_data_never_breaks_a_match(match: dict[str, Any], more: dict[str, Any]) -> None:
    assert is_subset(match, {**more, **match})


@given(json_objects, st.text(max_size=2), json_values)
def test_an_absent_member_never_matches(data: dict[str, Any], key: str, value: Any) -> None:
    data.pop(key, None)
    assert not is_subset({key: value}, data)
