"""Expressions: what they give, what is refused beforehand, and what fails on data."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_engine.expressions import (
    ExpressionError,
    InvalidExpression,
    compile_expression,
    expressions_in,
    render,
    render_url,
)

SCOPE: dict[str, Any] = {
    "input": {"id": "o1", "n": 5, "price": 1.5, "items": [{"id": 1}, {"id": 2}], "note": None},
    "steps": {"reserve": {"output": {"ref": "r9"}, "error": None}, "send-mail": {"output": 7, "error": None}},
    "event": {"id": "e1", "name": "order.placed", "data": {"plan": "pro"}},
    "run": {"id": "run-1"},
}
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("no template", "no template"),
        ("", ""),
        ("${{ input.n }}", 5),
        ("${{input.price}}", 1.5),
        ("${{ input.items }}", [{"id": 1}, {"id": 2}]),
        ("${{ input.note }}", None),
        ("${{ input.n > 3 }}", True),
        ("order ${{ input.id }}: ${{ input.n }} x ${{ input.price }}", "order o1: 5 x 1.5"),
        ("${{ input.id }}${{ input.n }}", "o15"),
        ("is ${{ input.n > 3 }}, ${{ input.note }}, ${{ input.items }}", 'is true, null, [{"id":1},{"id":2}]'),
        ("${{ {'a': {'b': input.n}} }}", {"a": {"b": 5}}),
        ("${{ '}}' }}", "}}"),
        ("${{ '${{' }} literal", "${{ literal"),
        ("${{ steps['send-mail'].output + 1 }}", 8),
        ("${{ steps.reserve.output.ref }}", "r9"),
        ("${{ has(input.missing) ? input.missing : 'none' }}", "none"),
        ("${{ input.items.map(item, item.id) }}", [1, 2]),
        ("${{ duration('90s') }}", "90s"),
        ("${{ timestamp('2026-07-05T09:00:00Z') }}", "2026-07-05T09:00:00.000Z"),
    ],
)
def test_a_template_gives_its_value(template: str, value: Any) -> None:
    rendered = render(template, SCOPE, path="with")
    assert rendered == value
    assert type(rendered) is type(value)


def test_templates_are_found_anywhere_inside_a_value_but_not_in_keys() -> None:
    given = {"a": ["${{ input.n }}", {"b": "${{ input.id }}"}], "${{ input.n }}": 1, "c": 3}
    assert render(given, SCOPE, path="with") == {"a": [5, {"b": "o1"}], "${{ input.n }}": 1, "c": 3}


@given(json_values)
def test_a_value_comes_through_an_expression_as_it_went_in(value: Any) -> None:
    rendered = render("${{ input.value }}", {"input": {"value": value}}, path="with")
    assert rendered == value


@pytest.mark.parametrize(
    ("source", "reason", "fix"),
    [
        ("steps.send-mail.output", "steps.send-mail reads as a subtraction", "steps['send-mail']"),
        ("1 + steps.a-b-2c.output", "steps.a-b-2c reads as a subtraction", "steps['a-b-2c']"),
        ("steps[input.which].output", "named literally", "steps.reserve.output"),
        ("size(steps)", "named literally", "steps.reserve.output"),
        ("plan == 'pro'", "nothing called 'plan'", "input, steps, event and run"),
        ("now()", "no function 'now'", "startsWith"),
        ("input.n +", "does not parse at column 10", "one CEL expression"),
        ("(input.n", "does not parse at column 9", "one CEL expression"),
        ("", "empty", "write a CEL expression"),
        ("   ", "empty", "write a CEL expression"),
        ("// nothing", "empty", "write a CEL expression"),
        ("${{ input.n }}", "an expression already", "without ${{ }}"),
        ("input.items.map(input, 1)", "can't call its element 'input'", "another name"),
        ("'" + "x" * 5000 + "'", "5,002 characters", "a step of the app"),
        ("(" * 40 + "1" + ")" * 40, "deeper than 32", "smaller parts"),
    ],
)
def test_a_wrong_expression_is_refused_with_reason_and_fix(source: str, reason: str, fix: str) -> None:
    with pytest.raises(InvalidExpression) as refused:
        compile_expression(source)
    assert reason in refused.value.reason
    assert fix in refused.value.fix


def test_a_template_that_is_never_closed_is_refused() -> None:
    ((path, found),) = expressions_in({"a": ["x ${{ input.n"]}, path="with")
    assert path == "with.a[0]"
    assert isinstance(found, InvalidExpression)
    assert "never closed" in found.reason


def test_an_expression_may_be_limited_to_some_names() -> None:
    with pytest.raises(InvalidExpression, match="nothing called 'input'"):
        compile_expression("input.n > 1", roots=("event",))


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("steps.reserve.output.ref + input.id", {("steps", "reserve", "output", "ref"), ("input", "id")}),
        ("steps['send-mail'].output", {("steps", "send-mail", "output")}),
        ("input.items.map(i, i.id + input.n)", {("input", "items"), ("input", "n")}),
        ("input['a b'].c[0].d", {("input", "a b", "c")}),
        ("event.data.steps.x == 'steps.y.output'", {("event", "data", "steps", "x")}),
        ("{'steps': 1}.steps == 1", set()),
        ("input.name.startsWith('x')", {("input", "name")}),
        ("has(steps.a.output.b)", {("steps", "a", "output", "b")}),
    ],
)
def test_references_are_what_an_expression_reads(source: str, paths: set[tuple[str, ...]]) -> None:
    assert {reference.path for reference in compile_expression(source).references} == paths


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("input.missing", "there is no field 'missing'"),
        ("steps.reserve.output.missing.deeper", "there is no field 'missing'"),
        ("'n is ' + input.n", "string + int"),
        ("1 / (input.n - 5)", "division by zero"),
        ("1.0 / 0.0", "JSON can't hold"),
        ("input.items[9]", "9"),
        ("{1: 2}", "keys must be texts"),
        ("b'x'", "JSON can't hold"),
        ("int('x')", "string parse error"),
        ("9223372036854775807 + input.n", "overflow"),
    ],
)
def test_an_expression_that_fails_on_data_names_place_and_reason(source: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as failed:
        render({"a": f"${{{{ {source} }}}}"}, SCOPE, path="steps[0].with")
    assert failed.value.path == "steps[0].with.a"
    assert reason in failed.value.reason
    assert source in str(failed.value)


def test_a_condition_must_be_true_or_false() -> None:
    assert compile_expression("input.n == 5").condition(SCOPE) is True
    with pytest.raises(ExpressionError, match="must be true or false, not a number"):
        compile_expression("input.n").condition(SCOPE)


@pytest.mark.parametrize(
    "source",
    [
        "input.list.map(x, x).size()",
        "input.list.filter(x, x > 1).size()",
        "input.list.map(x, input.list.map(y, y)).size()",
        "input.list.all(x, input.list.exists(y, y == x))",
        "(input.list + input.list + input.list).map(x, x).size()",
    ],
)
def test_a_loop_over_too_much_is_refused_before_it_stalls_the_process(source: str) -> None:
    scope = {"input": {"list": list(range(20_000))}}
    began = time.monotonic()
    with pytest.raises(ExpressionError, match="too much work"):
        compile_expression(source).evaluate(scope)
    assert time.monotonic() - began < 1


def test_a_loop_that_would_copy_long_texts_over_and_over_is_refused() -> None:
    scope = {"input": {"list": list(range(900)), "text": "x" * 100_000}}
    with pytest.raises(ExpressionError, match="too much work"):
        compile_expression("input.list.map(x, input.text + input.text).size()").evaluate(scope)


def test_loops_of_ordinary_size_run() -> None:
    scope = {
        "input": {"list": [{"id": number, "tags": ["a", "b"]} for number in range(500)], "other": list(range(99_000))}
    }
    assert compile_expression("input.list.map(x, x.id).size()").evaluate(scope) == 500
    assert compile_expression("input.other.exists(x, x == 98999)").evaluate(scope) is True


def test_only_the_parts_that_are_named_are_handed_over() -> None:
    class Untouchable(dict[str, Any]):
        def __iter__(self) -> Any:
            raise AssertionError("a part that is not named was read")

    scope = {"input": {"id": "o1", "big": Untouchable(a=1)}}
    assert compile_expression("input.id").evaluate(scope) == "o1"


@given(st.text(alphabet="inputseps.[]'\"(){}+-*/<>=!&|?:, 0123456789xabm$_\\\n", max_size=60))
def test_no_text_whatever_breaks_the_compiler(source: str) -> None:
    with suppress(InvalidExpression, ExpressionError):
        json.dumps(compile_expression(source).evaluate(SCOPE), allow_nan=False)


@given(st.text(alphabet="${} input.n'\"ab", max_size=40))
def test_no_text_whatever_breaks_a_template(text: str) -> None:
    if any(isinstance(part, InvalidExpression) for _, part in expressions_in(text, path="with")):
        return
    with suppress(ExpressionError):
        json.dumps(render(text, SCOPE, path="with"), allow_nan=False)


def test_a_url_takes_values_as_segments_only() -> None:
    scope = {"input": {"id": "a/b?c#d é"}}
    assert (
        render_url("http://audit/v1/${{ input.id }}/x", scope, path="url") == "http://audit/v1/a%2Fb%3Fc%23d%20%C3%A9/x"
    )
    with pytest.raises(ExpressionError, match="another path"):
        render_url("/v1/${{ input.id }}", {"input": {"id": ".."}}, path="path")
