"""Objects that must be refused, each with words that the refusal must hold: the field, and what to write instead.

The same table is put before the API server and before the checks of `stepwell dev`.
"""

import pytest

from kube.manifests import app, call, function, schedule, workflow

REFUSALS = [
    pytest.param(
        function(timeouts={"step": "5 minutes"}),
        ["spec.timeouts.step", "such as 250ms, 90s, 1h30m or 7d"],
        id="a misspelt duration",
    ),
    pytest.param(
        workflow("w", {"name": "nap", "sleep": {"for": "soon"}}),
        ["spec.steps[0].sleep.for", "such as 250ms, 90s, 1h30m or 7d"],
        id="a misspelt duration of a sleep",
    ),
    pytest.param(
        function(retries={"backoff": {"initial": "2m", "max": "60s"}}),
        ["spec.retries.backoff.initial", "must not be longer than backoff.max"],
        id="a backoff that shrinks",
    ),
    pytest.param(
        function(triggers=[{"event": {"name": "a"}, "cron": {"schedule": "0 3 * * *"}}]),
        ["spec.triggers[0]", "give each its own list item"],
        id="a trigger of two kinds",
    ),
    pytest.param(
        workflow("w", {"name": "a", "call": {"handler": "x"}, "sleep": {"for": "1s"}}),
        ["spec.steps[0]", "a step is exactly one of call, http"],
        id="a step of two kinds",
    ),
    pytest.param(
        workflow("w", {"name": "both", "parallel": [{"name": "a"}, call("b")]}),
        ["spec.steps[0].parallel[0]", "a step is exactly one of"],
        id="a nested step of no kind",
    ),
    pytest.param(
        workflow("w", call("a"), call("a")),
        ["spec.steps", "names are unique in the whole workflow"],
        id="two steps of one name",
    ),
    pytest.param(
        workflow("w", {"name": "a", "call": {"handler": "x", "with": {}}}),
        ['unknown field "spec.steps[0].call.with"'],
        id="with inside call",
    ),
    pytest.param(
        workflow("w", {"name": "nap", "sleep": {"for": "1s"}, "with": {"a": 1}}),
        ["with goes beside call, loop or workflow"],
        id="with beside sleep",
    ),
    pytest.param(
        schedule(schedule="0 3 * * *", every="20s"),
        ["set exactly one of schedule", "every"],
        id="a schedule of two kinds",
    ),
    pytest.param(
        schedule(every="20s", timeZone="Europe/Amsterdam"), ["every has no time zone"], id="an interval with a zone"
    ),
    pytest.param(
        {**app(), "spec": {"callback": {}}}, ["set exactly one of service and url"], id="an app without an address"
    ),
    pytest.param(app(environment="staging"), ["spec.environment", '"acc"'], id="an unknown environment"),
    pytest.param(
        function(debounce={"period": "5s"}, batch={"maxSize": 2, "timeout": "1s"}),
        ["debounce and batch can't be combined"],
        id="debounce with batch",
    ),
    pytest.param(function(name="x" * 64), ["must not be longer than 63 characters"], id="a name that is too long"),
]
