"""Engines that are killed with -9 or frozen at each place where the order of two effects matters, on a real Postgres."""

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness.engine import EngineProcess
from harness.postgres import own_postgres
from harness.process import wait_until
from harness.v1 import V1App
from stepwell_engine.local.migration import migrated
from stepwell_engine.local.postgres import Shutdown

LEASE = 2.0


class Steps:
    """The handler of a function with three steps. Results are numbered, so that executions can be told apart."""

    def __init__(self) -> None:
        self.started: Counter[str] = Counter()
        self.acknowledged: set[tuple[str, str]] = set()
        self.repeated: list[str] = []
        self.hold: dict[tuple[str, int], threading.Event] = {}
        self._numbers = iter(range(1, 1000))

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        run = request["runId"]
        self.acknowledged |= {(run, step) for step in request["steps"]}
        for step in ("one", "two", "three"):
            if step not in request["steps"]:
                if (run, step) in self.acknowledged:
                    self.repeated.append(step)
                self.started[step] += 1
                number = next(self._numbers)
                if gate := self.hold.get((step, self.started[step])):
                    gate.wait(30)
                return {"op": "step", "id": step, "data": number}
        return {"op": "done", "data": [request["steps"][step]["data"] for step in ("one", "two", "three")]}


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def app(steps: Steps) -> Iterator[V1App]:
    app = V1App(steps)
    yield app
    app.close()


FUNCTION = {"id": "three-steps", "trigger": {"event": "go"}, "maxAttempts": 1}


def run_rows(database_url: str) -> list[tuple[str, Any]]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select status, convert_from(output, 'utf8') from stepwell.run order by id"
        ).fetchall()
    return [(status, json.loads(output) if output else None) for status, output in rows]


def wait_for_the_end(database_url: str, *, runs: int = 1) -> None:
    wait_until(lambda: [status for status, _ in run_rows(database_url)] == ["completed"] * runs, "the runs completed")


def journaled(database_url: str) -> list[tuple[str, Any]]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select step, convert_from(data, 'utf8') from stepwell.journal where entry = 'step_completed' "
            "order by run_id, ordinal"
        ).fetchall()
    return [(step, json.loads(data)) for step, data in rows]


@pytest.mark.parametrize(
    ("failpoint", "executions_of_the_first_step"),
    [("after_claim", 1), ("before_call", 1), ("after_answer", 2), ("before_commit", 2), ("after_commit", 1)],
)
def test_a_run_goes_on_from_its_first_unjournaled_step_when_its_engine_is_killed(
    database_url: str, app: V1App, steps: Steps, failpoint: str, executions_of_the_first_step: int
) -> None:
    with EngineProcess(database_url, lease=LEASE, environment={"STEPWELL_FAILPOINT": f"{failpoint}:kill"}) as doomed:
        app.register(doomed.url, FUNCTION)
        app.send(doomed.url, "go", {})
        assert doomed.wait() == -9
    with EngineProcess(database_url, lease=LEASE):
        wait_for_the_end(database_url)
    assert steps.started == {"one": executions_of_the_first_step, "two": 1, "three": 1}
    assert run_rows(database_url)[0][1] == [data for _, data in journaled(database_url)]
    assert steps.repeated == []


def test_an_event_accepted_by_an_engine_that_dies_starts_its_run_once(
    database_url: str, app: V1App, steps: Steps
) -> None:
    with EngineProcess(database_url, environment={"STEPWELL_FAILPOINT": "after_accept:kill"}) as doomed:
        app.register(doomed.url, FUNCTION)
        with pytest.raises(OSError, match=r"[Rr]emote end closed|reset"):
            app.send(doomed.url, "go", {})
        doomed.wait()
    with EngineProcess(database_url):
        wait_for_the_end(database_url)
    assert steps.started == {"one": 1, "two": 1, "three": 1}


@pytest.mark.parametrize("failpoint", ["after_claim", "before_call"])
def test_an_engine_frozen_past_its_lease_calls_nobody_when_it_wakes(
    database_url: str, app: V1App, steps: Steps, failpoint: str
) -> None:
    with EngineProcess(database_url, lease=LEASE, environment={"STEPWELL_FAILPOINT": f"{failpoint}:stop"}) as zombie:
        app.register(zombie.url, FUNCTION)
        app.send(zombie.url, "go", {})
        zombie.wait_until_frozen()
        with EngineProcess(database_url, lease=LEASE) as successor:
            wait_for_the_end(database_url)
            successor.kill_family()
        calls = len(app.requests)
        zombie.wake()
        # It drives a second run all the way: it is awake, and has had its chance to go on with the first.
        app.send(zombie.url, "go", {})
        wait_for_the_end(database_url, runs=2)
    first = [request for request in app.requests if request["runId"] == app.requests[0]["runId"]]
    assert len(first) == calls == 4
    assert steps.started["one"] == 2
    assert steps.repeated == []


@pytest.mark.parametrize("failpoint", ["after_answer", "before_commit"])
def test_the_answer_that_a_frozen_engine_holds_is_refused_when_it_wakes(
    database_url: str, app: V1App, steps: Steps, failpoint: str
) -> None:
    with EngineProcess(database_url, lease=LEASE, environment={"STEPWELL_FAILPOINT": f"{failpoint}:stop"}) as zombie:
        app.register(zombie.url, FUNCTION)
        app.send(zombie.url, "go", {})
        zombie.wait_until_frozen()
        assert steps.started == {"one": 1}
        with EngineProcess(database_url, lease=LEASE) as successor:
            wait_for_the_end(database_url)
            successor.kill_family()
        before = journaled(database_url), run_rows(database_url)
        zombie.wake()
        app.send(zombie.url, "go", {})
        wait_for_the_end(database_url, runs=2)
        after = journaled(database_url), run_rows(database_url)
    assert before[0] == [("one", 2), ("two", 3), ("three", 4)]
    assert after[0][: len(before[0])] == before[0]
    assert after[1][0] == before[1][0] == ("completed", [2, 3, 4])
    assert steps.started == {"one": 3, "two": 2, "three": 2}
    assert steps.repeated == []


def test_the_answer_of_an_older_lease_is_refused_while_a_newer_one_is_held(
    database_url: str, app: V1App, steps: Steps
) -> None:
    second = steps.hold["one", 2] = threading.Event()
    with EngineProcess(database_url, lease=LEASE, environment={"STEPWELL_FAILPOINT": "before_commit:stop"}) as zombie:
        app.register(zombie.url, FUNCTION)
        app.send(zombie.url, "go", {})
        zombie.wait_until_frozen()
        with EngineProcess(database_url, lease=LEASE):
            wait_until(lambda: steps.started["one"] == 2, "the successor calls the first step")
            zombie.wake()
            zombie.wait_for_line("the lease was lost")
            assert journaled(database_url) == []
            second.set()
            wait_for_the_end(database_url)
    assert journaled(database_url) == [("one", 2), ("two", 3), ("three", 4)]


def test_a_frozen_engine_that_wakes_in_time_goes_on(database_url: str, app: V1App, steps: Steps) -> None:
    with EngineProcess(database_url, lease=20, environment={"STEPWELL_FAILPOINT": "after_answer:stop"}) as engine:
        app.register(engine.url, FUNCTION)
        app.send(engine.url, "go", {})
        engine.wait_until_frozen()
        engine.wake()
        wait_for_the_end(database_url)
    assert steps.started == {"one": 1, "two": 1, "three": 1}


@pytest.mark.parametrize("how", [Shutdown.IMMEDIATE, Shutdown.KILL], ids=["crashed", "killed"])
def test_runs_go_on_when_postgres_comes_back(tmp_path: Path, app: V1App, steps: Steps, how: Shutdown) -> None:
    with own_postgres(tmp_path) as postgres:
        url = postgres.cluster.url()
        migrated(url)
        gate = steps.hold["two", 1] = threading.Event()
        with EngineProcess(url, lease=LEASE) as engine:
            app.register(engine.url, FUNCTION)
            app.send(engine.url, "go", {})
            wait_until(lambda: steps.started["two"] == 1, "the second step runs")
            postgres.stop(how)
            gate.set()
            postgres.start()
            wait_for_the_end(url)
        assert [step for step, _ in journaled(url)] == ["one", "two", "three"]
        assert steps.started["one"] == 1
        assert steps.repeated == []


def test_a_drained_engine_leaves_nothing_leased(database_url: str, app: V1App, steps: Steps) -> None:
    gate = steps.hold["two", 1] = threading.Event()
    with EngineProcess(database_url, lease=60, environment={"STEPWELL_DRAIN_SECONDS": "1"}) as engine:
        app.register(engine.url, FUNCTION)
        app.send(engine.url, "go", {})
        wait_until(lambda: steps.started["two"] == 1, "the second step runs")
        engine.send(signal.SIGTERM)
        assert engine.wait() == 0
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from stepwell.job where owner is not null").fetchone() == (0,)
    gate.set()
    with EngineProcess(database_url, lease=60):
        wait_for_the_end(database_url)
    assert steps.started["one"] == steps.started["three"] == 1


def test_events_are_accepted_soon_after_postgres_is_back_by_those_who_waited_too(
    tmp_path: Path, app: V1App, steps: Steps
) -> None:
    """Requests that began while Postgres was away must not sit out their whole patience when it is back."""
    with own_postgres(tmp_path) as postgres:
        url = postgres.cluster.url()
        migrated(url)
        with EngineProcess(url, lease=LEASE) as engine:
            app.register(engine.url, FUNCTION)
            postgres.stop(Shutdown.IMMEDIATE)
            accepted: list[float] = []
            senders = [
                threading.Thread(target=lambda: accepted.append((app.send(engine.url, "go", {}), time.monotonic())[1]))
                for _ in range(6)
            ]
            for sender in senders:
                sender.start()
            # Long enough for every attempt to connect to have failed at least once.
            time.sleep(0.7)
            postgres.start()
            back = time.monotonic()
            for sender in senders:
                sender.join()
            assert max(accepted) - back < 3
            wait_for_the_end(url, runs=6)


def test_a_step_that_fails_after_the_app_was_away_is_retried_after_its_backoff_not_after_the_lease(
    database_url: str,
) -> None:
    calls = iter(range(100))

    def handler(request: dict[str, Any]) -> dict[str, Any] | None:
        match next(calls):
            case 0:
                return None
            case 1:
                return {"op": "error", "id": "one", "message": "not yet", "retryable": True}
            case _:
                return {"op": "done", "data": "finished"}

    app = V1App(handler)
    try:
        with EngineProcess(database_url, lease=60) as engine:
            app.register(engine.url, {**FUNCTION, "maxAttempts": 3})
            app.send(engine.url, "go", {})
            wait_for_the_end(database_url)
    finally:
        app.close()
