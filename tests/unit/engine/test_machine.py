"""The table of states: what can happen to a run, and that nothing else can."""

import itertools

import pytest

from stepwell_engine.errors import IllegalTransition
from stepwell_engine.machine import (
    CANCELLED,
    COMPENSATING,
    COMPLETED,
    EXECUTING,
    FAILED,
    PAUSED,
    QUEUED,
    SCHEDULED,
    SLEEPING,
    TRANSITIONS,
    WAITING,
    RunEvent,
    State,
    decide,
    diagram,
    sources,
)
from stepwell_engine.model import Activity, Status

ENDED = (COMPLETED, FAILED, CANCELLED)
ILLEGAL = [pair for pair in itertools.product(TRANSITIONS, RunEvent) if pair[1] not in TRANSITIONS[pair[0]]]


def test_every_status_and_activity_has_a_row_in_the_table() -> None:
    states = {State(Status.ACTIVE, activity) for activity in Activity}
    states |= {State(status) for status in Status if status is not Status.ACTIVE}
    assert set(TRANSITIONS) == states


def test_every_event_happens_somewhere() -> None:
    assert {event for row in TRANSITIONS.values() for event in row} == set(RunEvent)


@pytest.mark.parametrize("state", ENDED, ids=str)
def test_nothing_happens_to_a_run_that_has_ended(state: State) -> None:
    assert TRANSITIONS[state] == {}


@pytest.mark.parametrize(("state", "event"), ILLEGAL, ids=str)
def test_what_the_table_has_no_row_for_is_one_error_naming_state_event_and_run(state: State, event: RunEvent) -> None:
    with pytest.raises(IllegalTransition) as refused:
        decide(state, event, run="run-7")
    message = str(refused.value)
    assert "run-7" in message
    assert str(state) in message
    assert repr(event.value) in message


@pytest.mark.parametrize("state", [state for state in TRANSITIONS if state not in ENDED], ids=str)
def test_every_active_run_can_be_cancelled_and_can_reach_an_end(state: State) -> None:
    assert decide(state, RunEvent.CANCELLED) == CANCELLED
    reached, frontier = {state}, [state]
    while frontier:
        for after in TRANSITIONS[frontier.pop()].values():
            if after not in reached:
                reached.add(after)
                frontier.append(after)
    assert set(ENDED) <= reached


@pytest.mark.parametrize("state", list(TRANSITIONS), ids=str)
def test_every_state_is_reachable_from_a_new_run(state: State) -> None:
    reached, frontier = {QUEUED, SCHEDULED}, [QUEUED, SCHEDULED]
    while frontier:
        for after in TRANSITIONS[frontier.pop()].values():
            if after not in reached:
                reached.add(after)
                frontier.append(after)
    assert state in reached


def test_only_a_leased_run_completes() -> None:
    assert sources(RunEvent.COMPLETED) == (EXECUTING,)


def test_only_a_paused_run_is_resumed() -> None:
    assert sources(RunEvent.RESUMED) == (PAUSED,)


def test_only_runs_that_sleep_or_wait_are_woken() -> None:
    assert set(sources(RunEvent.WOKEN)) == {SLEEPING, WAITING}


def test_an_expired_lease_queues_a_run_again_and_five_in_a_row_pause_it() -> None:
    for leased in (EXECUTING, COMPENSATING):
        assert decide(leased, RunEvent.LEASE_EXPIRED) == QUEUED
        assert decide(leased, RunEvent.QUARANTINED) == PAUSED


def test_the_diagram_draws_each_transition_once() -> None:
    drawn = {
        (before.strip(), after.strip(), event)
        for line in diagram().splitlines()
        if "-->" in line and ":" in line
        for before, _, rest in [line.partition("-->")]
        for after, _, events in [rest.partition(":")]
        for event in events.strip().split(", ")
    }
    table = {
        (str(before), str(after), event.value) for before, row in TRANSITIONS.items() for event, after in row.items()
    }
    assert drawn == table
