"""Workflow plans told as stories: what is called, in what order, with what, and how the run ends."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from scenarios.plan_driver import START, Driver, Script
from stepwell_engine.definition import WorkflowSpec, parse_workflow
from stepwell_engine.plan import Cancel, Complete, Completed, Fail, Failed, StartSleep, StartWait

ORDER = """
input: {schema: {type: object}}
steps:
- name: reserve
  call: {handler: reserve-stock}
  with: {orderId: "${{ input.orderId }}"}
  compensate: {call: {handler: release-stock}}
- name: charge
  call: {handler: charge-card}
  with: {amount: "${{ input.total }}", reservation: "${{ steps.reserve.output.of }}"}
  retries: {maxAttempts: 2, backoff: {type: Constant, initial: 1s}}
  compensate: {call: {handler: refund}, with: {charge: "${{ steps.charge.output }}"}}
- name: tell
  parallel:
  - {name: mail, call: {handler: send-mail}, compensate: {call: {handler: send-apology}}}
  - {name: sms, call: {handler: send-sms}, if: "input.phone != ''"}
- name: ship
  call: {handler: ship}
  retries: {maxAttempts: 1}
output: {parcel: "${{ steps.ship.output.of }}", told: "${{ steps.tell.output }}"}
"""


def workflow(text: str) -> WorkflowSpec:
    return parse_workflow(yaml.safe_load(text), name="story")


def order(script: Script | None = None, *, phone: str = "1") -> Driver:
    return Driver(workflow(ORDER), script or Script(), input={"orderId": "o1", "total": 5, "phone": phone})


def failure(driver: Driver) -> Any:
    assert isinstance(driver.end, Fail)
    return driver.end.error


def test_steps_run_one_after_another_and_branches_side_by_side() -> None:
    driver = order()
    assert [action.step for action in driver.ask()] == ["reserve"]  # type: ignore[union-attr]
    assert driver.ask() == ()
    driver.settle()
    driver.ask()
    driver.settle()
    assert [action.step for action in driver.ask()] == ["mail", "sms"]  # type: ignore[union-attr]
    driver.settle()
    assert driver.ask() == ()
    driver.settle()
    assert [action.step for action in driver.ask()] == ["ship"]  # type: ignore[union-attr]


def test_a_completed_run_gives_its_rendered_output() -> None:
    driver = order().run()
    assert driver.end == Complete(output={"parcel": "ship", "told": {"mail": {"of": "mail"}, "sms": {"of": "sms"}}})


def test_a_step_gets_its_rendered_input() -> None:
    driver = order().run()
    assert driver.called[0].input == {"orderId": "o1"}  # type: ignore[union-attr]
    assert driver.called[1].input == {"amount": 5, "reservation": "reserve"}  # type: ignore[union-attr]


def test_a_step_without_with_gets_the_runs_input() -> None:
    driver = order().run()
    assert driver.called[-1].input == driver.input  # type: ignore[union-attr]


def test_a_step_whose_condition_is_false_is_skipped_and_its_output_is_null() -> None:
    driver = order(phone="").run()
    assert "sms" not in driver.calls
    assert isinstance(driver.end, Complete)
    assert driver.end.output["told"]["sms"] is None


def test_a_skipped_parallel_skips_all_that_is_in_it() -> None:
    spec = workflow("""
        steps:
        - {name: both, if: "false", parallel: [{name: one, call: {handler: x}}, {name: two, call: {handler: x}}]}
        output: "${{ steps.both.output == null && steps.one.output == null }}"
    """)
    assert Driver(spec).run().end == Complete(output=True)


def test_a_failed_attempt_is_tried_again_with_the_same_input_and_the_next_number() -> None:
    driver = order(Script(fails={"charge": 1})).run()
    first, second = (call for call in driver.called if call.step == "charge")
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.input == second.input  # type: ignore[union-attr]
    assert isinstance(driver.end, Complete)


def test_completed_steps_are_compensated_in_reverse_order_of_the_journal() -> None:
    driver = order(Script(fails={"ship": 1})).run()
    assert driver.calls[-3:] == ["compensate:mail", "compensate:charge", "compensate:reserve"]
    assert failure(driver)["step"] == "ship"
    assert failure(driver)["message"] == "ship broke"


def test_a_compensation_gets_the_steps_own_input_and_result_unless_it_says_otherwise() -> None:
    driver = order(Script(fails={"ship": 1})).run()
    given = {call.step: call.input for call in driver.called}  # type: ignore[union-attr]
    assert given["compensate:reserve"] == {"input": {"orderId": "o1"}, "output": {"of": "reserve"}}
    assert given["compensate:charge"] == {"charge": {"of": "charge"}}


def test_a_failed_step_itself_is_not_compensated() -> None:
    driver = order(Script(fails={"charge": 2})).run()
    assert driver.calls == ["reserve", "charge", "charge", "compensate:reserve"]


def test_a_step_with_a_timed_out_attempt_is_compensated_because_nobody_knows_whether_it_happened() -> None:
    driver = order(Script(fails={"charge": 2}))
    driver.uncertain["charge"] = 2
    driver.run()
    assert driver.calls[-2:] == ["compensate:charge", "compensate:reserve"]


def test_siblings_of_a_failed_branch_are_let_finish_before_anything_is_undone() -> None:
    spec = workflow("""
        steps:
        - name: both
          parallel:
          - {name: bad, call: {handler: x}, retries: {maxAttempts: 1}}
          - {name: slow, call: {handler: x}, compensate: {call: {handler: undo}}}
    """)
    driver = Driver(spec, Script(fails={"bad": 1}))
    driver.ask()
    assert driver.settle() == "bad"
    assert driver.ask() == ()
    assert driver.settle() == "slow"
    driver.run()
    assert driver.calls == ["bad", "slow", "compensate:slow"]


def test_a_failed_compensation_does_not_stop_the_others_and_is_named_in_the_error() -> None:
    driver = order(Script(fails={"ship": 1, "compensate:mail": 9})).run()
    assert driver.calls[-2:] == ["compensate:charge", "compensate:reserve"]
    assert failure(driver)["notCompensated"] == [{"step": "mail", "message": "compensate:mail broke"}]


def test_the_first_failure_in_the_journal_is_the_runs_error() -> None:
    spec = workflow("""
        retries: {maxAttempts: 1}
        steps:
        - {name: both, parallel: [{name: one, call: {handler: x}}, {name: two, call: {handler: x}}]}
    """)
    driver = Driver(spec, Script(fails={"one": 1, "two": 1}))
    driver.run(lambda count: count - 1)
    assert failure(driver)["step"] == "two"


def test_an_expression_that_fails_on_the_data_fails_the_step_and_names_the_field() -> None:
    spec = workflow("""
        steps:
        - {name: one, call: {handler: x}, compensate: {call: {handler: undo}}}
        - {name: two, call: {handler: x}, with: {n: ["${{ steps.one.output.missing }}"]}}
    """)
    driver = Driver(spec).run()
    assert driver.calls == ["one", "compensate:one"]
    assert failure(driver)["message"].startswith("steps[1].with.n[0]: there is no field 'missing'")


def test_a_condition_that_is_no_condition_fails_the_step() -> None:
    driver = Driver(workflow('steps: [{name: one, if: "input", call: {handler: x}}]'), input={"a": 1}).run()
    assert failure(driver)["message"].startswith("steps[0].if: a condition must be true or false, not an object")


def test_an_output_that_fails_on_the_data_fails_the_run_and_compensates() -> None:
    spec = workflow("""
        steps: [{name: one, call: {handler: x}, compensate: {call: {handler: undo}}}]
        output: "${{ steps.one.output.missing }}"
    """)
    driver = Driver(spec).run()
    assert driver.calls == ["one", "compensate:one"]
    assert failure(driver)["message"].startswith("output: there is no field 'missing'")


def test_a_sleep_ends_its_duration_after_it_started() -> None:
    (action,) = Driver(workflow("steps: [{name: cool, sleep: {for: 90s}}]")).ask()
    assert action == StartSleep(step="cool", until=START + timedelta(seconds=90))


def test_a_sleep_can_take_its_duration_and_its_time_from_data() -> None:
    given = {"wait": "2m", "at": "2026-07-05T10:00:00+02:00"}
    (action,) = Driver(workflow('steps: [{name: a, sleep: {for: "${{ input.wait }}"}}]'), input=given).ask()
    assert action == StartSleep(step="a", until=START + timedelta(minutes=2))
    (action,) = Driver(workflow('steps: [{name: a, sleep: {until: "${{ input.at }}"}}]'), input=given).ask()
    assert action == StartSleep(step="a", until=START - timedelta(hours=1))


@pytest.mark.parametrize("given", ["soon", 90, None, "-3s"])
def test_a_sleep_for_what_is_no_duration_fails_the_step(given: Any) -> None:
    driver = Driver(workflow('steps: [{name: a, sleep: {for: "${{ input.wait }}"}}]'), input={"wait": given}).run()
    assert failure(driver)["message"].startswith("steps[0].sleep.for: ")


def test_a_wait_names_its_event_its_match_and_its_end() -> None:
    spec = workflow("""
        steps:
        - name: approve
          waitForEvent: {event: "approval.${{ input.kind }}", match: {id: "${{ input.id }}"}, timeout: 7d}
    """)
    (action,) = Driver(spec, input={"kind": "received", "id": 7}).ask()
    until = START + timedelta(days=7)
    assert action == StartWait(step="approve", event="approval.received", match={"id": 7}, until=until)


def test_what_a_wait_got_can_be_read_and_is_null_after_a_timeout() -> None:
    spec = workflow("""
        steps: [{name: approve, waitForEvent: {event: e}}]
        output: "${{ steps.approve.output == null ? 'nobody' : steps.approve.output.by }}"
    """)
    assert Driver(spec, Script(events={"approve": {"by": "ann"}})).run().end == Complete(output="ann")
    assert Driver(spec).run().end == Complete(output="nobody")


def test_an_http_step_renders_path_headers_and_body_and_encodes_what_it_puts_into_the_path() -> None:
    spec = workflow("""
        steps:
        - name: audit
          http:
            service: {name: audit, port: 80, path: "/v1/${{ input.id }}?by=${{ input.by }}"}
            headers: {x-order: "${{ input.n }}"}
            body: {id: "${{ input.id }}"}
            expect: [200, 202]
    """)
    (action,) = Driver(spec, input={"id": "a/../b", "by": "me & you", "n": 3}).ask()
    assert action.service.path == "/v1/a%2F..%2Fb?by=me%20%26%20you"  # type: ignore[union-attr]
    assert action.headers == {"x-order": "3"}  # type: ignore[union-attr]
    assert action.body == {"id": "a/../b"}  # type: ignore[union-attr]
    assert action.expect == (200, 202)  # type: ignore[union-attr]


@pytest.mark.parametrize(("field", "value"), [("path", ".."), ("head", "a\r\nb: c")])
def test_data_can_not_reach_another_path_or_header(field: str, value: str) -> None:
    spec = workflow("""
        steps:
        - name: audit
          http: {url: "http://audit/v1/${{ input.path }}", headers: {x-order: "${{ input.head }}"}}
    """)
    driver = Driver(spec, input={"path": "x", "head": "y", field: value}).run()
    assert driver.calls == []
    assert failure(driver)["name"] == "ExpressionFailed"


def test_a_cancelled_run_undoes_what_it_has_done_and_is_cancelled() -> None:
    driver = order()
    driver.ask()
    driver.settle()
    driver.ask()
    driver.cancel()
    assert driver.ask() == (), "a call is in flight: it is waited for"
    assert driver.settle() == "charge"
    driver.run()
    assert driver.calls == ["reserve", "charge", "compensate:charge", "compensate:reserve"]
    assert driver.end == Cancel()


def test_a_forced_cancel_compensates_nothing() -> None:
    driver = order()
    driver.ask()
    driver.settle()
    driver.cancel(compensate=False)
    driver.run()
    assert driver.calls == ["reserve"]
    assert driver.end == Cancel()


def test_a_run_past_its_timeout_undoes_what_it_has_done_and_fails_with_the_timeout() -> None:
    driver = order()
    driver.ask()
    driver.settle()
    driver.cancel(error={"name": "RunTimedOut", "message": "the run took longer than 7d"})
    driver.run()
    assert driver.calls == ["reserve", "compensate:reserve"]
    assert failure(driver)["name"] == "RunTimedOut"


def test_a_cancel_during_compensation_goes_on_with_it() -> None:
    driver = order(Script(fails={"ship": 1}))
    while "compensate:mail" not in driver.journal:
        driver.ask()
        driver.settle()
    driver.cancel()
    driver.run()
    assert driver.calls[-3:] == ["compensate:mail", "compensate:charge", "compensate:reserve"]
    assert driver.end == Cancel()


def test_nested_parallels_start_together_and_are_read_by_name() -> None:
    spec = workflow("""
        steps:
        - name: outer
          parallel:
          - {name: one, call: {handler: x}}
          - {name: inner, parallel: [{name: two, call: {handler: x}}, {name: three, call: {handler: x}}]}
        output: "${{ steps.outer.output.inner.three.of + steps.two.output.of }}"
    """)
    driver = Driver(spec)
    assert len(driver.ask()) == 3
    assert driver.run().end == Complete(output="threetwo")


def test_settled_steps_are_never_asked_for_again() -> None:
    driver = order().run()
    assert driver.ask() == (driver.end,)
    assert len(driver.calls) == 5


@pytest.mark.parametrize(
    ("result", "end"),
    [(Completed(output=None, ordinal=1), "Complete"), (Failed(error={"message": ""}, ordinal=1), "Fail")],
)
def test_a_result_is_a_result_whatever_its_value(result: Completed | Failed, end: str) -> None:
    driver = Driver(workflow("steps: [{name: a, call: {handler: x}}]"), journal={"a": result})
    driver.ask()
    assert type(driver.end).__name__ == end
