"""A leased run in memory says what its journal says, and never overestimates its time."""

from datetime import timedelta

from stepwell_engine.driving.leased import LeaseClock, LeasedRun
from stepwell_engine.model import Entry
from stepwell_protocol.times import to_unix_ms
from unit.engine.leases import LEASE, NOW, journaled, leased, waiting

RESULTS = journaled(
    (Entry.STEP_COMPLETED, {"step": "load", "data": b'{"a": 1.0,  "b":"\\u00e9"}'}),
    (Entry.ATTEMPT_FAILED, {"step": "mail", "error": b"{}"}),
    (Entry.STEP_FAILED, {"step": "mail", "error": b'{"name":"E"}'}),
    (Entry.WAIT_STARTED, {"step": "nap", "type": "sleep"}),
    (Entry.WAIT_COMPLETED, {"step": "nap", "type": "sleep", "data": b"null"}),
)


def state(run: LeasedRun) -> tuple[object, ...]:
    return (run.fragments, run.results, run.attempts, run.pending, run.next_ordinal, run.size, run.unplaced_failures)


def test_results_are_kept_byte_for_byte_in_journal_order() -> None:
    run = leased(RESULTS)
    assert run.fragments == [
        b'"load":{"type":"run","data":{"a": 1.0,  "b":"\\u00e9"}}',
        b'"mail":{"type":"run","error":{"name":"E"}}',
        b'"nap":{"type":"sleep","data":null}',
    ]


def test_going_on_in_memory_and_reading_the_journal_give_the_same_run() -> None:
    run = leased()
    run.fail_attempt("mail")
    run.fail_attempt("mail")
    run.settle("load", type="run", data=b"[1]")
    run.settle("mail", type="run", error=b"{}")
    run.next_ordinal = 4
    read = leased(
        journaled(
            (Entry.ATTEMPT_FAILED, {"step": "mail", "error": b"{}"}),
            (Entry.STEP_COMPLETED, {"step": "load", "data": b"[1]"}),
            (Entry.STEP_FAILED, {"step": "mail", "error": b"{}", "attempt": 2}),
        )
    )
    assert state(run) == state(read)


def test_rebuilding_forgets_what_was_before() -> None:
    run = leased(RESULTS, [waiting("approve", "wait")])
    run.rebuild(RESULTS[:1], [])
    assert state(run) == state(leased(RESULTS[:1]))


def test_a_skipped_step_is_no_result_for_the_wire() -> None:
    run = leased(journaled((Entry.STEP_SKIPPED, {"step": "mail"})))
    assert (run.results, run.fragments, run.next_ordinal) == ({}, [], 2)


def test_failures_outside_any_step_count_since_the_last_result() -> None:
    failure = (Entry.ATTEMPT_FAILED, {"error": b"{}"})
    run = leased(journaled(failure, failure, (Entry.STEP_COMPLETED, {"step": "a", "data": b"1"}), failure))
    assert run.unplaced_failures == 1
    assert run.fail_attempt(None) == 2


def test_lost_leases_use_no_attempt() -> None:
    run = leased(journaled((Entry.LEASE_LOST, {}), (Entry.LEASE_LOST, {})))
    assert (run.attempts, run.unplaced_failures) == ({}, 0)


def test_a_settled_step_is_no_longer_pending() -> None:
    run = leased((), [waiting("nap", "sleep"), waiting("mail", "retry")])
    run.settle("mail", type="run", data=b"1")
    assert run.pending == {"nap": "sleep"}


def test_what_is_left_of_a_lease_is_counted_from_before_the_claim_was_sent() -> None:
    clock = LeaseClock(NOW, asked_at=100.0, lease_until=NOW + timedelta(seconds=30))
    assert clock.left(100.0) == 30
    assert clock.left(112.5) == 17.5


def test_nothing_starts_under_a_lease_in_its_last_two_seconds() -> None:
    run = leased(lease=timedelta(seconds=30), asked_at=0.0)
    assert run.may_call(27.9)
    assert not run.may_call(28.0)
    assert run.start_by(26.0) == NOW + timedelta(seconds=28)


def test_a_call_may_start_for_five_seconds_at_most() -> None:
    run = leased(lease=timedelta(seconds=30), asked_at=0.0)
    assert run.start_by(3.0) == NOW + timedelta(seconds=8)


def test_the_app_is_told_both_bounds_in_the_databases_time() -> None:
    run = leased(lease=timedelta(seconds=30), asked_at=0.0)
    minute = timedelta(minutes=1)
    for sent, start_by in ((3.0, 8), (26.0, 28)):
        told = run.window(sent, timeout=minute)
        assert told == (
            to_unix_ms(NOW + timedelta(seconds=start_by)),
            to_unix_ms(NOW + timedelta(seconds=sent) + minute),
        )


def test_a_short_lease_keeps_a_quarter_as_its_margin() -> None:
    run = leased(lease=timedelta(seconds=2), asked_at=0.0)
    assert run.may_call(1.4)
    assert not run.may_call(1.5)


def test_a_lost_lease_calls_nobody() -> None:
    run = leased(lease=LEASE, asked_at=0.0)
    run.lost = True
    assert not run.may_call(0.0)


def test_what_others_added_is_told_without_what_the_app_said_itself() -> None:
    run = leased(RESULTS[:1])
    run.settle("own", type="run", data=b"1")
    run.settle("nap", type="sleep", data=b"null")
    assert run.added_since(1, but={"own"}) == [b'"nap":{"type":"sleep","data":null}']
