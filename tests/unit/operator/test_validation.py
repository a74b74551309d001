"""Manifests in files are refused for what an API server would refuse them for, in the same words."""

import copy

import pytest

from kube.manifests import Json, app, call, event, function, schedule, workflow
from kube.refusals import REFUSALS
from stepwell_operator.files.validation import problems


@pytest.mark.parametrize(("manifest", "words"), REFUSALS)
def test_what_the_api_server_refuses_is_refused_here_too(manifest: Json, words: list[str]) -> None:
    said = "; ".join(problems(copy.deepcopy(manifest)))
    for expected in words:
        assert expected in said


@pytest.mark.parametrize(
    "manifest",
    [
        app(),
        app(retention={"completed": "1h30m"}),
        function(triggers=[{"event": {"name": "a", "if": "event.data.x"}}], input={"schema": {"type": "object"}}),
        workflow(
            "w", call("a", **{"with": {"x": [1, {"y": None}]}}), {"name": "nap", "sleep": {"for": "${{ input.t }}"}}
        ),
        schedule(),
        schedule(every="20s", input={"any": ["thing"]}),
        event(),
    ],
)
def test_what_is_right_is_taken(manifest: Json) -> None:
    assert problems(manifest) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (app(environment="dev"), app(environment="prod"), "environment can't be changed"),
        (function(), function(app="other"), "appRef can't be changed"),
        (function(handler="a"), function(handler="b"), "handler can't be changed"),
        (function(), function(handler="b"), "handler can't be changed"),
        (event(), event(event="order.lost"), "an event can't be changed once sent"),
    ],
)
def test_what_identifies_an_object_cannot_be_changed(before: Json, after: Json, words: str) -> None:
    assert words in "; ".join(problems(after, before=before))


def test_defaults_are_filled_in() -> None:
    manifest = app()
    assert problems(manifest) == []
    assert {key: manifest["spec"][key] for key in ("environment", "discovery", "deletionPolicy")} == {
        "environment": "dev",
        "discovery": "Auto",
        "deletionPolicy": "Cancel",
    }


def test_a_null_counts_as_absent() -> None:
    assert problems(function(retries=None)) == []


def test_all_problems_are_told_at_once() -> None:
    manifest = function(timeouts={"step": "soon"}, retries={"maxAttempts": 0}, colour="red")
    said = "; ".join(problems(manifest))
    assert "spec.timeouts.step" in said
    assert "spec.retries.maxAttempts" in said
    assert 'unknown field "spec.colour"' in said
