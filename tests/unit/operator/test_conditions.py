"""Conditions from facts: what Ready says, what kstatus reads, and that nothing changes without a reason."""

from datetime import UTC, datetime, timedelta

import pytest

from stepwell_operator.conditions import Fact, Type, conditions, false, true, unknown
from stepwell_operator.objects import Json

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
ALL_TRUE = tuple(true(each, "Fine") for each in Type)


def settled(
    *facts: Fact, before: list[Json] | None = None, now: datetime = NOW, generation: int = 1
) -> dict[str, Json]:
    return {c["type"]: c for c in conditions(facts, generation=generation, before=before or [], now=now)}


def test_ready_when_nothing_stands_against_it() -> None:
    made = settled(*ALL_TRUE)
    assert made["Ready"]["status"] == "True"
    assert not {"Reconciling", "Stalled"} & made.keys()


def test_ready_is_always_there() -> None:
    assert settled()["Ready"]["status"] == "True"


@pytest.mark.parametrize("first", list(Type))
def test_ready_follows_the_first_fact_that_does_not_hold(first: Type) -> None:
    later = list(Type)[list(Type).index(first) + 1 :]
    facts = [false(first, "Wrong", "mend it"), *(false(each, "Later", "later") for each in later)]
    ready = settled(*facts)["Ready"]
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "Wrong", "mend it")


def test_what_stays_wrong_until_somebody_acts_is_stalled() -> None:
    made = settled(false(Type.ACCEPTED, "Wrong", "mend it", permanent=True))
    assert made["Stalled"]["status"] == "True"
    assert "Reconciling" not in made


def test_what_is_on_its_way_is_reconciling() -> None:
    made = settled(unknown(Type.REGISTERED, "Waiting", "soon"))
    assert made["Reconciling"]["status"] == "True"
    assert made["Ready"]["status"] == "Unknown"


def test_a_fact_that_does_not_count_leaves_ready_alone() -> None:
    made = settled(*ALL_TRUE[:3], unknown(Type.ENDPOINT_REACHABLE, "Unreachable", "once", counts=False))
    assert made["Ready"]["status"] == "True"
    assert made["EndpointReachable"]["status"] == "Unknown"


def test_equal_facts_give_equal_conditions_later() -> None:
    before = conditions(ALL_TRUE, generation=1, before=[], now=NOW)
    assert conditions(ALL_TRUE, generation=1, before=before, now=NOW + timedelta(hours=1)) == before


def test_the_time_of_a_transition_moves_with_the_status_only() -> None:
    before = list(settled(true(Type.ACCEPTED, "Fine")).values())
    later = NOW + timedelta(hours=1)
    same = settled(true(Type.ACCEPTED, "Finer", "words"), before=before, now=later)
    other = settled(false(Type.ACCEPTED, "Wrong", "mend it"), before=before, now=later)
    assert same["Accepted"]["lastTransitionTime"] == "2026-11-21T06:00:00Z"
    assert other["Accepted"]["lastTransitionTime"] == "2026-11-21T07:00:00Z"


def test_every_condition_names_the_generation_it_is_about() -> None:
    assert {c["observedGeneration"] for c in settled(*ALL_TRUE, generation=7).values()} == {7}


def test_a_message_of_any_length_fits() -> None:
    assert len(settled(false(Type.ACCEPTED, "Wrong", "x" * 100_000))["Accepted"]["message"]) <= 32_768
