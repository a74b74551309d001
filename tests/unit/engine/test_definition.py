"""Definitions: good ones become values; of wrong ones every mistake is told, with field, reason and fix."""

from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stepwell_engine.cron import Cron, Every
from stepwell_engine.definition import (
    Call,
    CatchUp,
    CronTrigger,
    EventTrigger,
    Http,
    InvalidDefinition,
    NotYetSupported,
    Parallel,
    Service,
    Sleep,
    TargetRef,
    Timeouts,
    WaitForEvent,
    canonical,
    parse_function,
    parse_schedule,
    parse_workflow,
)
from stepwell_engine.retry import Backoff, Growth, RetryPolicy

FULL_WORKFLOW = """
triggers:
- event: {name: order.paid, if: "event.data.total > 5"}
input: {schema: {type: object, properties: {orderId: {type: string}}}}
timeouts: {step: 20s, run: 7d}
steps:
- name: reserve
  call: {handler: reserve-stock}
  with: {orderId: "${{ input.orderId }}"}
  retries: {maxAttempts: 5}
  timeout: 30s
  compensate: {call: {handler: release-stock}}
- name: tell
  parallel:
  - {name: mail, call: {handler: send-mail}}
  - {name: sms, call: {handler: send-sms}, if: "steps.reserve.output.sms"}
- name: cool
  sleep: {for: 3s}
- name: approve
  waitForEvent: {event: approval.received, match: {orderId: "${{ input.orderId }}"}, timeout: 7d}
- name: audit
  http: {service: {name: audit, port: 80, path: /v1}, body: {mail: "${{ steps.mail.output }}"}, expect: [200, 202]}
output: "${{ steps.tell.output.sms }}"
"""


def document(text: str) -> Any:
    return yaml.safe_load(text)


def problems_of(text: str) -> dict[str, str]:
    """What is wrong with a workflow: path → reason and fix."""
    with pytest.raises(InvalidDefinition) as refused:
        parse_workflow(document(text), name="w")
    return {problem.path: f"{problem.reason}: {problem.fix}" for problem in refused.value.problems}


def with_steps(*steps: str, more: str = "") -> str:
    return "steps:\n" + "\n".join(f"- {step}" for step in steps) + "\n" + more


def test_a_workflow_becomes_a_tree_of_steps() -> None:
    spec = parse_workflow(document(FULL_WORKFLOW), name="order")
    assert [step.name for step in spec.walk()] == ["reserve", "tell", "mail", "sms", "cool", "approve", "audit"]
    reserve, tell, cool, approve, audit = spec.steps
    assert reserve.body == Call(handler="reserve-stock")
    assert reserve.retries == RetryPolicy(max_attempts=5)
    assert reserve.timeout == timedelta(seconds=30)
    assert reserve.compensate is not None
    assert reserve.compensate.body == Call(handler="release-stock")
    assert isinstance(tell.body, Parallel)
    assert [branch.path for branch in tell.body.branches] == ["steps[1].parallel[0]", "steps[1].parallel[1]"]
    assert tell.body.branches[1].timeout == timedelta(seconds=20), "the workflow's own timeout is the default"
    assert cool.body == Sleep(duration=timedelta(seconds=3))
    assert approve.body == WaitForEvent(
        event="approval.received", match={"orderId": "${{ input.orderId }}"}, timeout=timedelta(days=7)
    )
    assert audit.body == Http(
        service=Service(name="audit", port=80, path="/v1"),
        body={"mail": "${{ steps.mail.output }}"},
        expect=(200, 202),
    )
    assert spec.triggers == (EventTrigger(name="order.paid", condition="event.data.total > 5"),)
    assert spec.timeouts == Timeouts(step=timedelta(seconds=20), run=timedelta(days=7))


def test_a_function_takes_its_handler_from_its_name_and_has_defaults() -> None:
    spec = parse_function({}, name="onboarding")
    assert spec.handler == "onboarding"
    assert spec.retries == RetryPolicy(
        max_attempts=3,
        backoff=Backoff(growth=Growth.EXPONENTIAL, initial=timedelta(seconds=1), maximum=timedelta(seconds=60)),
    )
    assert spec.timeouts == Timeouts()
    assert spec.suspend is False


def test_a_function_has_triggers_retries_and_timeouts() -> None:
    spec = parse_function(
        document("""
            handler: onboard
            triggers:
            - event: {name: user.created}
            - cron: {schedule: "0 3 * * *", timeZone: Europe/Amsterdam}
            retries: {maxAttempts: 2, backoff: {type: Linear, initial: 250ms, max: 5s}}
            timeouts: {step: 90s, start: 1h, run: 7d}
            priority: 10
            suspend: true
        """),
        name="onboarding",
    )
    assert spec.triggers == (
        EventTrigger(name="user.created"),
        CronTrigger(cron=Cron("0 3 * * *", "Europe/Amsterdam")),
    )
    assert spec.retries.backoff.growth is Growth.LINEAR
    assert spec.timeouts.start == timedelta(hours=1)
    assert (spec.priority, spec.suspend) == (10, True)


def test_a_triggers_condition_reads_the_event() -> None:
    (trigger,) = parse_workflow(document(FULL_WORKFLOW), name="order").triggers
    assert isinstance(trigger, EventTrigger)
    assert trigger.accepts({"id": "e", "name": "order.paid", "data": {"total": 6}})
    assert not trigger.accepts({"id": "e", "name": "order.paid", "data": {"total": 5}})


def test_a_schedule_names_its_target_and_its_instants() -> None:
    spec = parse_schedule(
        document("""
            targetRef: {kind: Workflow, name: nightly}
            schedule: "*/20 * * * * *"
            timeZone: Europe/Amsterdam
            input: {full: true}
            startingDeadline: 1h
            catchUp: One
        """)
    )
    assert spec.target == TargetRef(kind="Workflow", name="nightly")
    assert spec.timetable == Cron("*/20 * * * * *", "Europe/Amsterdam")
    assert spec.catch_up is CatchUp.ONE
    every = parse_schedule({"targetRef": {"kind": "Function", "name": "f"}, "every": "20s"})
    assert every.timetable == Every(timedelta(seconds=20))


@pytest.mark.parametrize(
    ("given", "path", "reason"),
    [
        ({"schedule": "* * * * *"}, "spec.targetRef", "missing"),
        ({"targetRef": {"kind": "Function", "name": "f"}}, "spec", "exactly one of schedule, every"),
        ({"targetRef": {"kind": "Function", "name": "f"}, "schedule": "x", "every": "1s"}, "spec", "exactly one"),
        ({"targetRef": {"kind": "App", "name": "f"}, "every": "1s"}, "spec.targetRef.kind", "Function, Workflow"),
        ({"targetRef": {"kind": "Function", "name": "f"}, "every": "1ms"}, "spec.every", "too short"),
        (
            {"targetRef": {"kind": "Function", "name": "f"}, "every": "1m", "timeZone": "UTC"},
            "spec.timeZone",
            "an interval has no time zone",
        ),
        (
            {"targetRef": {"kind": "Function", "name": "f"}, "schedule": "99 * * * *"},
            "spec.schedule",
            "not a cron expression",
        ),
    ],
)
def test_a_wrong_schedule_is_refused_by_field(given: Any, path: str, reason: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        parse_schedule(given)
    assert reason in {problem.path: str(problem) for problem in refused.value.problems}[path]


@pytest.mark.parametrize(
    ("field", "path", "words"),
    [
        ("triggers: [{event: {}}]", "spec.triggers[0].event.name", "missing"),
        ("triggers: [{}]", "spec.triggers[0]", "exactly one of event, cron"),
        ("triggers: [{event: {name: e, if: 'plan == 1'}}]", "spec.triggers[0].event.if", "nothing called 'plan'"),
        ("triggers: [{event: {name: e, if: 'input.x'}}]", "spec.triggers[0].event.if", "an expression sees event"),
        ("triggers: [{cron: {schedule: '0 3 * *'}}]", "spec.triggers[0].cron.schedule", "has 4 fields"),
        (
            "triggers: [{cron: {schedule: '0 3 * * *', timeZone: Mars/X}}]",
            "spec.triggers[0].cron.timeZone",
            "is not a time zone",
        ),
        ("input: {schema: {type: objekt}}", "spec.input.schema.type", "'objekt' is not valid"),
        ("input: {schema: {$ref: 'http://x/y'}}", "spec.input.schema.$ref", "begin $ref with #"),
        ("retries: {maxAttempts: 0}", "spec.retries.maxAttempts", "whole number from 1"),
        ("retries: {maxAttempts: many}", "spec.retries.maxAttempts", "'many' is not a whole number"),
        ("retries: {backoff: {type: Random}}", "spec.retries.backoff.type", "Exponential, Linear, Constant"),
        ("retries: {backoff: {initial: 5m, max: 1s}}", "spec.retries.backoff.max", "at least as long as initial"),
        ("timeouts: {step: 3 parsecs}", "spec.timeouts.step", "is not a duration"),
        ("timeouts: {run: 0s}", "spec.timeouts.run", "too short"),
        ("timeouts: {run: 60}", "spec.timeouts.run", "60 is not a duration"),
        ("suspend: 'yes'", "spec.suspend", "write true or false"),
        ("retrys: {}", "spec.retrys", "did you mean retries?"),
        ("colour: red", "spec.colour", "there is no such field"),
        ("priority: 1.5", "spec.priority", "whole number"),
    ],
)
def test_a_wrong_field_is_refused_by_name_with_its_fix(field: str, path: str, words: str) -> None:
    found = problems_of(with_steps("{name: a, call: {handler: x}}", more=field))
    assert list(found) == [path]
    assert words in found[path]


@pytest.mark.parametrize(
    ("step", "path", "words"),
    [
        ("{call: {handler: x}}", ".name", "missing"),
        ("{name: Send, call: {handler: x}}", ".name", "small letter"),
        ("{name: a}", "", "none of call, http"),
        ("{name: a, call: {handler: x}, sleep: {for: 1s}}", "", "has call and sleep"),
        ("{name: a, call: {}}", ".call.handler", "missing"),
        ("{name: a, call: {handler: x, with: {a: 1}}}", ".call.with", "move it one level out"),
        ("{name: a, call: {handler: x}, with: [1]}", ".with", "not an object"),
        ("{name: a, call: {handler: x}, timeout: soon}", ".timeout", "is not a duration"),
        ("{name: a, sleep: {}}", ".sleep", "exactly one of for, until"),
        ("{name: a, sleep: {for: 1s, until: '2026-07-05T09:00:00Z'}}", ".sleep", "has for and until"),
        ("{name: a, sleep: {until: tomorrow}}", ".sleep.until", "RFC 3339"),
        ("{name: a, sleep: {for: 1s}, with: {b: 1}}", ".with", "not with sleep"),
        ("{name: a, sleep: {for: 1s}, retries: {maxAttempts: 2}}", ".retries", "not with sleep"),
        ("{name: a, waitForEvent: {event: e}, timeout: 1s}", ".timeout", "write it inside waitForEvent"),
        ("{name: a, waitForEvent: {event: e, match: 5}}", ".waitForEvent.match", "not an object"),
        ("{name: a, parallel: []}", ".parallel", "no branches"),
        ("{name: a, http: {}}", ".http", "none of service, url"),
        ("{name: a, http: {url: ftp://x}}", ".http.url", "http://"),
        ("{name: a, http: {url: 'http://${{ input.host }}/'}}", ".http.url", "literal host"),
        ("{name: a, http: {service: {name: x, path: v1}}}", ".http.service.path", "begin it with /"),
        ("{name: a, http: {url: 'http://x', method: get}}", ".http.method", "GET, POST"),
        ("{name: a, http: {url: 'http://x', expect: [20]}}", ".http.expect", "[200, 202]"),
        ("{name: a, http: {url: 'http://x', headers: {Host: y}}}", ".http.headers", "can't be set here"),
        ("{name: a, http: {url: 'http://x'}, with: {b: 1}}", ".with", "http.body"),
        ("{name: a, call: {handler: x}, compensate: {}}", ".compensate", "exactly one of call, http"),
        ("{name: a, call: {handler: x}, if: ''}", ".if", "0 characters"),
        ("{name: a, call: {handler: x}, if: '${{ true }}'}", ".if", "without ${{ }}"),
        ("{name: a, call: {handler: x}, with: {n: '${{ input. }}'}}", ".with.n", "does not parse"),
        ("{name: a, call: {handler: x}, with: {n: ['${{ input.x']}}", ".with.n[0]", "close it with }}"),
    ],
)
def test_a_wrong_step_is_refused_by_field(step: str, path: str, words: str) -> None:
    found = problems_of(with_steps("{name: first, call: {handler: x}}", step))
    assert list(found) == [f"spec.steps[1]{path}"]
    assert words in found[f"spec.steps[1]{path}"]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("steps.nope.output", "there is no step 'nope'"),
        ("steps.frist.output", "did you mean 'first'?"),
        ("steps.self.output", "refers to itself"),
        ("steps.last.output", "comes later than 'self'"),
        ("steps.first.result", "write steps.first.output.result"),
        ("steps.first-one.output", "write steps['first-one']"),
        ("steps['first-one'].result", "write steps['first-one'].output.result"),
    ],
)
def test_a_reference_that_can_not_be_read_is_refused(expression: str, words: str) -> None:
    found = problems_of(
        with_steps(
            "{name: first, call: {handler: x}}",
            "{name: first-one, call: {handler: x}}",
            f'{{name: self, call: {{handler: x}}, with: {{a: "${{{{ {expression} }}}}"}}}}',
            "{name: last, call: {handler: x}}",
        )
    )
    assert list(found) == ["spec.steps[2].with.a"]
    assert words in found["spec.steps[2].with.a"]


def test_steps_that_read_each_other_are_a_cycle() -> None:
    found = problems_of(
        with_steps(
            '{name: a, call: {handler: x}, with: {v: "${{ steps.b.output }}"}}',
            '{name: b, call: {handler: x}, with: {v: "${{ steps.c.output }}"}}',
            '{name: c, call: {handler: x}, if: "steps.a.output.ok"}',
        )
    )
    assert "in a cycle (a → b → c → a)" in found["spec.steps[0].with.v"]


def test_branches_of_a_parallel_do_not_see_each_other_but_what_follows_sees_them() -> None:
    found = problems_of(
        with_steps(
            "{name: both, parallel: ["
            '{name: a, call: {handler: x}, with: {v: "${{ steps.b.output }}"}},'
            '{name: b, call: {handler: x}, with: {v: "${{ steps.both.output }}"}}]}',
            '{name: c, call: {handler: x}, with: {v: "${{ steps.a.output }}", w: "${{ steps.both.output.b }}"}}',
        )
    )
    assert "side by side with 'a'" in found["spec.steps[0].parallel[0].with.v"]
    assert list(found) == ["spec.steps[0].parallel[0].with.v", "spec.steps[0].parallel[1].with.v"]


def test_a_compensation_sees_its_own_step_but_not_later_ones() -> None:
    step = (
        "{name: a, call: {handler: x}, compensate:"
        ' {call: {handler: u}, with: {v: "${{ steps.a.output }}", w: "${{ steps.b.output }}"}}}'
    )
    found = problems_of(with_steps(step, "{name: b, call: {handler: x}}"))
    assert list(found) == ["spec.steps[0].compensate.with.w"]


def test_names_are_unique_in_the_whole_workflow() -> None:
    found = problems_of(
        with_steps(
            "{name: a, call: {handler: x}}",
            "{name: both, parallel: [{name: b, call: {handler: x}}, {name: a, call: {handler: x}}]}",
        )
    )
    assert "is the name of spec.steps[0] too" in found["spec.steps[1].parallel[1].name"]


def test_steps_nest_two_levels_and_not_deeper() -> None:
    inner = "{name: c, parallel: [{name: d, call: {handler: x}}]}"
    found = problems_of(with_steps(f"{{name: a, parallel: [{{name: b, parallel: [{inner}]}}]}}"))
    assert "a workflow of its own" in found["spec.steps[0].parallel[0].parallel[0].parallel"]


def test_a_workflow_needs_steps() -> None:
    assert "at least one step" in problems_of("output: 1")["spec.steps"]


def test_all_problems_are_told_at_once_in_the_order_of_the_document() -> None:
    found = problems_of(
        with_steps(
            "{name: a, call: {handler: x}, timeout: soon, with: {v: '${{ steps.z.output }}'}}",
            "{name: b, sleep: {}}",
            more="timeouts: {run: never}\ncolour: red",
        )
    )
    assert len(found) == 5


def test_what_is_not_built_yet_is_told_apart_from_what_is_wrong() -> None:
    text = with_steps(
        "{name: route, switch: {cases: [{when: gold, steps: [{name: gift, call: {handler: x}}]}]}}",
        "{name: ship, workflow: {ref: {name: shipping}}}",
        more='concurrency: [{limit: 2}]\noutput: "${{ steps.ship.output + steps.gift.output }}"',
    )
    with pytest.raises(NotYetSupported) as refused:
        parse_workflow(document(text), name="w")
    assert [problem.path for problem in refused.value.problems] == [
        "spec.steps[0].switch",
        "spec.steps[1].workflow",
        "spec.concurrency",
    ]
    with pytest.raises(InvalidDefinition) as wrong:
        parse_workflow(document(text + "\ncolour: red"), name="w")
    assert not isinstance(wrong.value, NotYetSupported)


@pytest.mark.parametrize(
    "policy",
    ["concurrency", "throttle", "rateLimit", "debounce", "batch", "singleton", "cancelOn", "idempotency"],
)
def test_policies_still_to_come_are_named(policy: str) -> None:
    with pytest.raises(NotYetSupported, match=rf"spec\.{policy}: {policy} is not supported yet"):
        parse_function({policy: {}}, name="f")


@pytest.mark.parametrize("trigger", ["http", "completion"])
def test_triggers_still_to_come_are_named(trigger: str) -> None:
    with pytest.raises(NotYetSupported, match=rf"spec\.triggers\[0\]\.{trigger}: the trigger {trigger}"):
        parse_function({"triggers": [{trigger: {}}]}, name="f")


def test_the_message_tells_all_problems_in_one_line() -> None:
    with pytest.raises(InvalidDefinition) as refused:
        parse_function({"suspend": 3, "handler": ""}, name="f")
    assert refused.value.message.count("spec.") == 2
    assert "\n" not in refused.value.message


def test_equal_documents_have_the_same_bytes_however_they_came() -> None:
    one = canonical({"b": [1.0, {"d": 1, "c": "é"}], "a": None})
    other = canonical({"a": None, "b": [1, {"c": "é", "d": 1}]})
    assert one == other == '{"a":null,"b":[1,{"c":"é","d":1}]}'.encode()


FIELDS = (
    *("name", "call", "handler", "with", "parallel", "sleep", "for", "until", "http", "url", "service", "steps", "if"),
    *("retries", "maxAttempts", "backoff", "initial", "timeout", "compensate", "triggers", "event", "cron", "schedule"),
    *("timeZone", "input", "schema", "output", "waitForEvent", "match"),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["1s", "${{ input.x }}", "0 3 * * *"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["steps", "triggers", "input", "retries", "timeouts", "output"]), json_values))
def test_whatever_the_document_is_it_is_read_or_refused(given: dict[str, Any]) -> None:
    for parse in (parse_workflow, parse_function):
        try:
            parse(given, name="w")
        except InvalidDefinition as refused:
            problems = refused.problems
        else:
            continue
        assert all(problem.path.startswith("spec") and problem.reason and problem.fix for problem in problems)
