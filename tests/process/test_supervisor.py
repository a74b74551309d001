"""The supervisor keeps its children alive, and leaves nothing behind."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.process import Process, alive, wait_until

_STACK = str(Path(__file__).with_name("stand_in_stack.py"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a Unix socket's path."""
    with tempfile.TemporaryDirectory(prefix="sw-") as path:
        yield Path(path)


@pytest.fixture
def stack(folder: Path) -> Iterator[Process]:
    with Process([sys.executable, _STACK, str(folder)]) as process:
        process.wait_for_line("up")
        yield process


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_cleanly(stack: Process, sign: signal.Signals) -> None:
    family = stack.family()
    assert len(family) == 2
    stack.send(sign)
    assert stack.wait() == 0
    assert stack.lines[-1] == "stopped"
    assert not any(alive(process) for process in family)


def test_children_die_with_a_killed_supervisor(stack: Process) -> None:
    family = stack.family()
    stack.send(signal.SIGKILL)
    stack.wait()
    wait_until(lambda: not any(alive(process) for process in family), "the children are gone")


@pytest.mark.parametrize("index", [0, 1])
def test_a_killed_child_is_replaced_and_the_other_left_alone(stack: Process, index: int) -> None:
    family = sorted(stack.family(), key=lambda process: process.pid)
    family[index].kill()
    stack.wait_for_line("was killed by SIGKILL, starting it again")
    stack.wait_for_line("is back")
    now = stack.family()
    assert len(now) == 2
    assert family[1 - index] in now
    assert family[index] not in now


def test_a_frozen_child_is_replaced(stack: Process) -> None:
    victim = stack.family()[0]
    victim.suspend()
    stack.wait_for_line("does not answer, starting it again", timeout=30)
    stack.wait_for_line("is back")
    assert not alive(victim)


def test_a_child_that_cannot_start_ends_it_all_with_its_last_words(folder: Path) -> None:
    with Process([sys.executable, _STACK, str(folder), "broken"]) as process:
        assert process.wait(timeout=60) == 1
        assert process.output.count("second ended with code 3: first complaint | no such luck") == 5
        last = process.lines[-1]
        assert "second can't stay up (5 times in a row). Its last words: first complaint | no such luck" in last
        assert (folder / "logs" / "second.log").read_text().count("no such luck") == 5
        assert not process.family()


def test_a_second_signal_forces_what_a_first_one_cannot_end(folder: Path) -> None:
    with Process([sys.executable, _STACK, str(folder), "stubborn"]) as process:
        process.wait_for_line("up")
        family = process.family()
        process.send(signal.SIGINT)
        process.wait_for_line("stopping")
        assert all(alive(child) for child in family)
        process.send(signal.SIGINT)
        assert process.wait(timeout=15) == 0
        assert not any(alive(child) for child in family)


def test_a_stop_during_the_start_leaves_nothing(folder: Path) -> None:
    with Process([sys.executable, _STACK, str(folder)]) as process:
        wait_until(lambda: bool(process.family()), "the first child runs")
        family: list[psutil.Process] = process.family()
        process.send(signal.SIGTERM)
        process.wait()
        assert not any(alive(child) for child in family)
