"""From what an app answered to what is committed."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from stepwell_engine.driving import answers
from stepwell_engine.driving.answers import Circumstances, EventsSent, IllegalAnswer, turn
from stepwell_engine.driving.leased import LeasedRun
from stepwell_engine.journal.queue import Exchange
from stepwell_engine.model import Entry
from stepwell_engine.retry import Backoff, RetryPolicy
from stepwell_protocol import limits
from stepwell_protocol.wire import (
    Continue,
    Done,
    ErrorData,
    InvokeRun,
    Log,
    Operation,
    Progress,
    RunError,
    Signal,
    SleepUntil,
    StepDone,
    StepFailed,
    WaitFor,
)
from unit.engine.leases import NOW, journaled, leased, waiting

LATER = NOW + timedelta(hours=1)
NOT_YET = ErrorData(name="NotYet", message="try again")
NEVER = ErrorData(name="Never", message="don't", retryable=False)


def under(**given: Any) -> Circumstances:
    circumstances: dict[str, Any] = {
        "now": NOW,
        "called_at": NOW,
        "app_ms": 12.5,
        "jitter": 0.0,
        "policy": RetryPolicy(max_attempts=3, backoff=Backoff(initial=timedelta(seconds=1))),
        "raises_failures": True,
    }
    return Circumstances(**{**circumstances, **given})


def said(run: LeasedRun, *ops: Operation | EventsSent, **given: Any) -> Exchange:
    return turn(run, ops, under(**given))


def entries(exchange: Exchange) -> list[tuple[Entry, str | None]]:
    return [(entry.entry, entry.step) for entry in exchange.entries]


def test_a_result_is_journaled_under_the_token_and_number_of_its_call() -> None:
    run = leased(token=41)
    run.seq = 3
    exchange = said(run, StepDone("load", b'{"a": 1}'))
    assert (exchange.token, exchange.seq, exchange.outcome, exchange.steps) == (41, 3, "go", 1)
    (entry,) = exchange.entries
    assert (entry.entry, entry.step, entry.data, entry.attempt) == (Entry.STEP_COMPLETED, "load", b'{"a": 1}', 1)


def test_ordinals_go_on_where_the_journal_ends() -> None:
    run = leased(journaled((Entry.STEP_COMPLETED, {"step": "a", "data": b"1"}), (Entry.LEASE_LOST, {})))
    exchange = said(run, StepDone("b", b"2"), StepDone("c", b"3"))
    assert [entry.ordinal for entry in exchange.entries] == [3, 4]


def test_a_result_after_failures_carries_the_number_of_its_attempt() -> None:
    failures = journaled(*[(Entry.ATTEMPT_FAILED, {"step": "mail", "error": b"{}"})] * 2)
    exchange = said(leased(failures), StepDone("mail", b"1"))
    assert exchange.entries[0].attempt == 3


def test_a_sleep_is_on_record_and_the_run_parks_as_sleeping() -> None:
    exchange = said(leased(), SleepUntil("nap", LATER))
    assert (exchange.outcome, exchange.activity) == ("park", "sleeping")
    assert entries(exchange) == [(Entry.WAIT_STARTED, "nap")]
    (wait,) = exchange.waits
    assert (wait.step, wait.type, wait.due) == ("nap", "sleep", LATER)


def test_a_wait_is_on_record_and_the_run_parks_as_waiting() -> None:
    exchange = said(leased(), WaitFor("approve", "approved", b'{"id": 1}', LATER))
    assert (exchange.outcome, exchange.activity) == ("park", "waiting")
    (wait,) = exchange.waits
    assert (wait.event_name, wait.match, wait.due) == ("approved", b'{"id": 1}', LATER)


def test_of_a_sleep_and_a_wait_the_wait_is_what_people_see() -> None:
    exchange = said(leased(), SleepUntil("nap", LATER), WaitFor("approve", "approved", None, None))
    assert exchange.activity == "waiting"


def test_a_result_beside_a_wait_goes_on_with_the_run() -> None:
    exchange = said(leased(), WaitFor("approve", "approved", None, None), StepDone("mail", b"1"))
    assert exchange.outcome == "go"
    assert [wait.step for wait in exchange.waits] == ["approve"]


def test_a_pending_wait_named_again_is_not_opened_twice() -> None:
    exchange = said(leased((), [waiting("nap", "sleep")]), SleepUntil("nap", LATER))
    assert (exchange.outcome, exchange.waits, exchange.entries) == ("park", [], [])


def test_a_failed_attempt_backs_off_and_uses_one_attempt() -> None:
    exchange = said(leased(), StepFailed("mail", NOT_YET))
    assert (exchange.outcome, exchange.activity, exchange.reason) == ("park", "sleeping", "RetryBackoff")
    assert entries(exchange) == [(Entry.ATTEMPT_FAILED, "mail")]
    (wait,) = exchange.waits
    assert (wait.type, wait.due) == ("retry", NOW + timedelta(seconds=1))


def test_the_backoff_doubles_and_the_apps_longer_delay_wins() -> None:
    once = journaled((Entry.ATTEMPT_FAILED, {"step": "mail", "error": b"{}"}))
    assert said(leased(once), StepFailed("mail", NOT_YET)).waits[0].due == NOW + timedelta(seconds=2)
    patient = ErrorData(name="Busy", message="", retry_after=90)
    assert said(leased(once), StepFailed("mail", patient)).waits[0].due == NOW + timedelta(seconds=90)


def test_the_last_attempt_fails_the_step_and_version_2_hands_it_to_the_handler() -> None:
    twice = journaled(*[(Entry.ATTEMPT_FAILED, {"step": "mail", "error": b"{}"})] * 2)
    run = leased(twice)
    exchange = said(run, StepFailed("mail", NOT_YET))
    assert exchange.outcome == "go"
    assert entries(exchange) == [(Entry.STEP_FAILED, "mail")]
    assert b'"mail":{"type":"run","error":{"name":"NotYet"' in run.fragments[0]


def test_the_last_attempt_fails_the_run_in_version_1() -> None:
    exchange = said(leased(), StepFailed("mail", NEVER), raises_failures=False)
    assert (exchange.outcome, exchange.status, exchange.reason) == ("end", "failed", "Never")
    assert entries(exchange) == [(Entry.STEP_FAILED, "mail"), (Entry.RUN_FAILED, None)]


def test_an_error_that_is_not_retryable_uses_no_second_attempt() -> None:
    exchange = said(leased(), StepFailed("mail", NEVER))
    assert (exchange.waits, entries(exchange)) == ([], [(Entry.STEP_FAILED, "mail")])


def test_a_failure_outside_any_step_backs_off_the_whole_run() -> None:
    exchange = said(leased(), RunError(NOT_YET))
    assert (exchange.outcome, exchange.reason) == ("park", "RetryBackoff")
    assert [(wait.step, wait.type) for wait in exchange.waits] == [("$run", "retry")]


def test_a_failure_outside_any_step_parks_the_run_even_beside_a_result() -> None:
    exchange = said(leased(), StepDone("a", b"1"), RunError(NOT_YET))
    assert exchange.outcome == "park"


def test_failures_outside_any_step_use_up_the_runs_attempts() -> None:
    twice = journaled(*[(Entry.ATTEMPT_FAILED, {"error": b"{}"})] * 2)
    exchange = said(leased(twice), RunError(NOT_YET))
    assert (exchange.outcome, exchange.status, exchange.reason) == ("end", "failed", "NotYet")


def test_done_ends_the_run_with_its_output_as_received() -> None:
    exchange = said(leased(), Done(b'{"z": 1.50,"a": 2}'))
    assert (exchange.outcome, exchange.status, exchange.output) == ("end", "completed", b'{"z": 1.50,"a": 2}')
    assert entries(exchange) == [(Entry.RUN_COMPLETED, None)]


def test_what_follows_the_end_in_one_answer_is_ignored() -> None:
    exchange = said(leased(), Done(b"1"), StepDone("late", b"2"))
    assert entries(exchange) == [(Entry.RUN_COMPLETED, None)]


def test_a_handler_that_no_longer_reaches_its_journal_is_paused() -> None:
    exchange = said(leased(), RunError(ErrorData(name="NonDeterministic", message="step 'load' is gone")))
    assert (exchange.outcome, exchange.activity, exchange.reason) == ("pause", "paused", "NonDeterministic")
    assert entries(exchange) == [(Entry.RUN_PAUSED, None)]


def test_continue_keeps_the_lease() -> None:
    assert said(leased(), Continue()).outcome == "go"


@pytest.mark.parametrize("op", [Progress(1), Log("info", "hi")], ids=["progress", "log"])
def test_progress_and_logs_alone_keep_a_run_going_that_waits_for_nothing(op: Operation) -> None:
    assert said(leased(), op).outcome == "go"
    assert said(leased((), [waiting("nap", "sleep")]), op).outcome == "park"


def test_sent_events_are_a_result() -> None:
    exchange = said(leased(), EventsSent("tell", b'["id"]'))
    assert [(e.entry, e.step, e.type, e.data) for e in exchange.entries] == [
        (Entry.STEP_COMPLETED, "tell", "sendEvent", b'["id"]')
    ]


DONE_BEFORE = journaled((Entry.STEP_COMPLETED, {"step": "load", "data": b"1"}))


@pytest.mark.parametrize(
    "op",
    [
        StepDone("load", b"2"),
        StepFailed("load", NOT_YET),
        SleepUntil("load", LATER),
        WaitFor("load", "approved", None, None),
        EventsSent("load", b"[]"),
    ],
    ids=["step", "fail", "sleep", "wait", "sendEvent"],
)
def test_a_finished_step_named_again_is_illegal(op: Operation | EventsSent) -> None:
    with pytest.raises(IllegalAnswer, match=r"step 'load' has a result already.*load#2"):
        said(leased(DONE_BEFORE), op)


def test_a_step_named_twice_in_one_answer_is_illegal() -> None:
    with pytest.raises(IllegalAnswer, match="has a result already"):
        said(leased(), StepDone("load", b"1"), StepDone("load", b"2"))


@pytest.mark.parametrize("type", ["sleep", "wait"])
@pytest.mark.parametrize(
    "op", [StepDone("nap", b"2"), StepFailed("nap", NOT_YET), EventsSent("nap", b"[]")], ids=["step", "fail", "event"]
)
def test_a_result_for_a_step_that_sleeps_or_waits_is_illegal(type: str, op: Operation | EventsSent) -> None:
    with pytest.raises(IllegalAnswer, match=f"'nap' is pending as a {type}"):
        said(leased((), [waiting("nap", type)]), op)


def test_a_step_in_backoff_that_the_app_ran_all_the_same_is_taken() -> None:
    run = leased((), [waiting("mail", "retry")])
    assert entries(said(run, StepDone("mail", b"1"))) == [(Entry.STEP_COMPLETED, "mail")]


@pytest.mark.parametrize("step", ["$run", "$anything"])
def test_an_id_that_begins_with_a_dollar_is_illegal(step: str) -> None:
    with pytest.raises(IllegalAnswer, match="can't be a step's id"):
        said(leased(), StepDone(step, b"1"))


@pytest.mark.parametrize(
    "op", [InvokeRun("child", "other", b"{}"), Signal("sign", "go", None)], ids=["invoke", "signal"]
)
def test_operations_still_to_come_are_illegal_and_say_so(op: Operation) -> None:
    with pytest.raises(IllegalAnswer, match="not supported by this release"):
        said(leased(), op)


def test_an_empty_answer_is_illegal_when_nothing_is_pending() -> None:
    with pytest.raises(IllegalAnswer, match="could never go on"):
        said(leased())


def test_an_empty_answer_parks_a_run_that_waits() -> None:
    assert said(leased((), [waiting("nap", "sleep")])).outcome == "park"


def test_a_journal_over_its_limit_fails_the_run_naming_limit_and_size() -> None:
    run = leased()
    run.size = limits.JOURNAL_BYTES - len(b'"a":{"type":"run","data":1}')
    assert said(run, StepDone("a", b"1")).outcome == "go"
    exchange = said(run, StepDone("b", b"1"))
    assert (exchange.outcome, exchange.status, exchange.reason) == ("end", "failed", "JournalTooLarge")
    error = orjson.loads(exchange.error or b"")
    assert "64 MiB" in error["message"]
    assert f"{run.size:,} bytes" in error["message"]
    assert error["retryable"] is False


def test_a_call_that_used_an_attempt_is_judged_like_a_failure_outside_any_step() -> None:
    timed_out = ErrorData(name="StepTimedOut", message="too slow")
    exchange = answers.failed(leased(), timed_out, under())
    assert (exchange.outcome, entries(exchange)) == ("park", [(Entry.ATTEMPT_FAILED, None)])


def test_a_refused_answer_fails_the_run_at_once_whatever_its_attempts() -> None:
    exchange = answers.refused(leased(), ErrorData(name="IllegalAnswer", message="no"), under())
    assert (exchange.outcome, exchange.status, exchange.reason) == ("end", "failed", "IllegalAnswer")


@pytest.mark.parametrize(
    ("name", "reason"), [("HttpError", "HttpError"), ("my error!", "myerror"), ("§", "Error"), ("x" * 99, "x" * 64)]
)
def test_a_reason_is_made_of_the_errors_name(name: str, reason: str) -> None:
    assert answers.reason_of(ErrorData(name=name, message="")) == reason
