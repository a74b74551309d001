"""`stepwell dev` as a person meets it: started, stopped, started twice, killed in part and in whole."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.dev import Dev, clean_environment, free_port
from harness.process import Process, alive, wait_until
from harness.v1 import V1App

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    with Dev(tmp_path / "data") as dev:
        dev.start()
        yield dev


@pytest.fixture
def app() -> Iterator[V1App]:
    app = V1App(lambda _: {"op": "done", "data": "finished"})
    yield app
    app.close()


def refused(*arguments: str, **environment: str) -> str:
    """What a `stepwell dev` that can't start says. It ends with code 1, in one sentence."""
    result = subprocess.run(
        [sys.executable, "-m", "stepwell.cli", "dev", *arguments],
        env={**os.environ, **clean_environment(environment)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    return result.stderr.strip()


def complete_a_run(dev: Dev, app: V1App) -> str:
    app.register(dev.url, {"id": "greet", "trigger": {"event": "hello"}})
    app.send(dev.url, "hello", {})
    wait_until(lambda: completed(dev) != [], "the run completed")
    return completed(dev)[0]


def completed(dev: Dev) -> list[str]:
    runs: list[dict[str, Any]] = dev.get("/api/v1/runs")["items"]
    return [run["id"] for run in runs if run["status"] == "completed"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_no_process_and_no_socket_behind(dev: Dev, sign: signal.Signals) -> None:
    process = dev.process
    assert process is not None
    family = process.family()
    sockets = Path(dev.database_url().rpartition("host=")[2])
    assert sockets.exists()
    process.send(sign)
    assert process.wait() == 0
    assert not any(alive(child) for child in family)
    assert not sockets.exists()
    with pytest.raises(OSError, match="refused"):
        dev.get("/healthz")


def test_the_second_start_is_quick_and_shows_the_old_runs(dev: Dev, app: V1App) -> None:
    run = complete_a_run(dev, app)
    assert dev.process is not None
    dev.process.send(signal.SIGINT)
    dev.process.wait()
    began = time.monotonic()
    dev.start()
    assert run in completed(dev)
    assert time.monotonic() - began < 15


def test_the_same_command_comes_back_after_a_power_cut(dev: Dev, app: V1App) -> None:
    run = complete_a_run(dev, app)
    assert dev.process is not None
    dev.process.kill_family()
    assert (dev.folder / "postgres" / "18" / "postmaster.pid").exists()
    dev.start()
    assert run in completed(dev)
    app.send(dev.url, "hello", {})
    wait_until(lambda: len(completed(dev)) == 2, "a new run completed")


def test_children_die_with_a_killed_supervisor_and_the_next_start_works(dev: Dev) -> None:
    assert dev.process is not None
    family = dev.process.family()
    dev.process.send(signal.SIGKILL)
    dev.process.wait()
    dev.start()
    assert dev.ready()
    assert not any(alive(child) for child in family)


@pytest.mark.parametrize("role", ["postgres", "engine", "web"])
def test_a_killed_child_is_noticed_and_mended(dev: Dev, app: V1App, role: str) -> None:
    complete_a_run(dev, app)
    victim = dev.wait_for_child(role)
    victim.kill()
    assert dev.process is not None
    dev.process.wait_for_line(f"{role} was killed by SIGKILL, starting it again")
    dev.process.wait_for_line(f"{role} is back")
    wait_until(dev.ready, "everything answers again")
    app.send(dev.url, "hello", {})
    wait_until(lambda: len(completed(dev)) == 2, "a new run completed")


def test_a_second_start_on_the_same_data_says_so_and_stops(dev: Dev) -> None:
    said = refused("--data-dir", str(dev.folder), "--port", str(free_port()))
    assert f"the data directory {dev.folder} is already in use by process" in said
    assert f"at http://localhost:{dev.port}" in said
    assert dev.ready()


def test_a_second_start_on_the_same_port_says_so_and_stops(dev: Dev, tmp_path: Path) -> None:
    said = refused("--data-dir", str(tmp_path / "other"), "--port", str(dev.port))
    assert f"port {dev.port} is already in use" in said
    assert "--port" in said
    assert dev.ready()


def test_each_flag_is_also_a_setting(dev: Dev) -> None:
    assert "is already in use by process" in refused(STEPWELL_DATA_DIR=str(dev.folder), STEPWELL_PORT=str(free_port()))
    said = refused("--data-dir", str(dev.folder.parent / "other"), STEPWELL_PORT=str(dev.port))
    assert f"port {dev.port} is already in use" in said


def test_only_this_user_may_read_the_data_key_and_only_loopback_is_served(dev: Dev) -> None:
    assert (dev.folder / "data-key").stat().st_mode & 0o777 == 0o600
    assert dev.process is not None
    tree = [psutil.Process(dev.process.pid), *dev.process.family()]
    listening = [c.laddr.ip for process in tree for c in process.net_connections("inet") if c.status == "LISTEN"]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_a_database_of_ones_own_is_used_and_no_postgres_is_run(database_url: str, tmp_path: Path, app: V1App) -> None:
    with Dev(tmp_path, environment={"STEPWELL_DATABASE_URL": database_url}) as dev:
        dev.start()
        complete_a_run(dev, app)
        assert dev.child("postgres") is None
        assert not (tmp_path / "postgres").exists()
        assert dev.process is not None
        dev.process.send(signal.SIGINT)
        assert dev.process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-f", "nowhere.yaml"], "-f nowhere.yaml: there is no such file or folder"),
        (["--database-url", "mysql://localhost/x"], "--database-url must look like postgresql://"),
        (["--database-url", "postgresql://localhost:1/x"], "no connection to Postgres"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    assert complaint in refused("--data-dir", str(tmp_path), "--port", "0", *arguments)


def test_a_bad_setting_is_named_before_anything_starts(tmp_path: Path) -> None:
    said = refused("--data-dir", str(tmp_path), "--port", "0", STEPWELL_LEASE_SECONDS="soon")
    assert "STEPWELL_LEASE_SECONDS: 'soon' is not a number" in said
    assert not (tmp_path / "postgres").exists()


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert f"the data directory {tmp_path}/file/data can't be used" in refused("--data-dir", f"{tmp_path}/file/data")


def test_a_stop_while_starting_leaves_nothing(tmp_path: Path) -> None:
    with Dev(tmp_path) as dev:
        process: Process = dev.start(wait=False)
        wait_until(lambda: bool(process.family()), "the first child runs")
        process.send(signal.SIGINT)
        assert process.wait() == 0
        assert not process.family()


def test_senders_wait_no_longer_than_postgres_is_away(dev: Dev, app: V1App) -> None:
    complete_a_run(dev, app)
    stop = threading.Event()
    longest = [0.0] * 4

    def send(number: int) -> None:
        while not stop.is_set():
            began = time.monotonic()
            app.send(dev.url, "hello", {})
            longest[number] = max(longest[number], time.monotonic() - began)

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    dev.wait_for_child("postgres").kill()
    assert dev.process is not None
    dev.process.wait_for_line("postgres is back")
    back = time.monotonic()
    while time.monotonic() - back < 3 or not dev.ready():
        time.sleep(0.05)
    stop.set()
    for sender in senders:
        sender.join()
    assert max(longest) < 6
