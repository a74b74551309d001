"""Ids are UUIDv7, sort by when they were made, and don't meet those of another process."""

from uuid import RFC_4122

from stepwell_engine.clock import Ids


class Stopped:
    """A clock that stands still until it is moved."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.seconds


def test_an_id_is_a_version_7_uuid_of_its_millisecond() -> None:
    made = Ids(clock=Stopped(1_783_242_000.123)).uuid7()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == 1_783_242_000_123


def test_ids_of_one_millisecond_keep_the_order_in_which_they_were_made() -> None:
    ids = Ids(clock=Stopped(1_783_242_000.0))
    made = [ids.uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_of_a_later_millisecond_are_greater() -> None:
    clock = Stopped(1_783_242_000.0)
    ids = Ids(clock=clock)
    before = [ids.uuid7() for _ in range(100)]
    clock.seconds += 0.001
    assert max(before) < ids.uuid7()


def test_two_processes_at_one_instant_make_different_ids() -> None:
    clock = Stopped(1_783_242_000.0)
    one, other = Ids(clock=clock), Ids(clock=clock)
    assert not {one.uuid7() for _ in range(1000)} & {other.uuid7() for _ in range(1000)}
