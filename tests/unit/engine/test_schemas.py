"""Input schemas: what is refused as a schema, and what is said about inputs."""

import time
from typing import Any

import pytest

from stepwell_engine.schemas import InputSchema, InvalidSchema

ORDER = {
    "type": "object",
    "required": ["orderId"],
    "properties": {
        "orderId": {"type": "string", "pattern": "^o[0-9]+$"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}}}},
}


def test_an_input_that_fits_has_no_complaints() -> None:
    assert InputSchema(ORDER).complaints({"orderId": "o7", "lines": [{"count": 2}]}) == ()


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({}, "input: 'orderId' is a required property"),
        ({"orderId": 5}, "input.orderId: 5 is not of type 'string'"),
        ({"orderId": "x7"}, "input.orderId: 'x7' does not match '^o[0-9]+$'"),
        ({"orderId": "o7", "lines": [{}, {"count": 0}]}, "input.lines[1].count: 0 is less than the minimum of 1"),
        ([], "input: [] is not of type 'object'"),
    ],
)
def test_a_complaint_names_the_place(value: Any, complaint: str) -> None:
    assert InputSchema(ORDER).complaints(value) == (complaint,)


def test_all_complaints_come_at_once_but_not_more_than_five() -> None:
    schema = InputSchema({"additionalProperties": {"type": "integer"}})
    assert len(schema.complaints({f"k{number}": "x" for number in range(3)})) == 3
    assert len(schema.complaints({f"k{number}": "x" for number in range(30)})) == 5


@pytest.mark.parametrize(
    ("schema", "place", "reason"),
    [
        (5, "", "a schema is an object"),
        ({"type": "strin"}, ".type", "'strin' is not valid"),
        ({"properties": {"a": {"minimum": "1"}}}, ".properties.a.minimum", "not of type"),
        ({"$ref": "https://example.com/order.json"}, ".$ref", "points outside"),
        ({"properties": {"a": {"$ref": "order.json#/a"}}}, ".properties.a.$ref", "points outside"),
        ({"items": [{"x": 1}]}, ".items", "not of type"),
        ({"$ref": "#/$defs/missing"}, ".$ref", "leads nowhere"),
        ({"$id": "https://example.com/x"}, ".$id", "not supported"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, ".$schema", "another dialect"),
        ({"pattern": "^a(?=b)"}, ".pattern", "not a regular expression that runs in linear time"),
        ({"patternProperties": {"(": {}}}, ".patternProperties", "not a regular expression"),
    ],
)
def test_a_wrong_schema_is_refused_with_its_place(schema: Any, place: str, reason: str) -> None:
    with pytest.raises(InvalidSchema) as refused:
        InputSchema(schema)
    assert refused.value.place == place
    assert reason in refused.value.reason
    assert refused.value.fix


def test_what_looks_like_a_keyword_inside_of_data_is_left_alone() -> None:
    schema = {"properties": {"$ref": {"const": {"$ref": "x"}}, "pattern": {"default": {"pattern": "("}}}}
    assert InputSchema(schema).complaints({"$ref": {"$ref": "x"}}) == ()


def test_a_pattern_made_to_backtrack_does_not_stall() -> None:
    schema = InputSchema({"type": "string", "pattern": "^(a+)+$"})
    began = time.monotonic()
    assert schema.complaints("a" * 100_000 + "!")
    assert time.monotonic() - began < 5


def test_pattern_properties_apply_to_matching_names() -> None:
    schema = InputSchema({"patternProperties": {"^n_": {"type": "integer"}}})
    assert schema.complaints({"n_a": "x", "b": "x"}) == ("input.n_a: 'x' is not of type 'integer'",)


def test_a_schema_that_leads_back_to_itself_ends_with_a_complaint() -> None:
    assert "never ends" in InputSchema({"$ref": "#"}).complaints({})[0]


def test_true_takes_everything_and_false_nothing() -> None:
    assert InputSchema(True).complaints({"a": 1}) == ()
    assert InputSchema(False).complaints({"a": 1})
