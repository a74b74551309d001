"""An embedded PostgreSQL as a supervised child.

`Cluster` is the data directory: made once, healed before each start, and turned into the command line that serves it.
`Postgres` runs that command for whoever has no supervisor (tests, benchmarks); `stepwell dev` gives it to its own.

Promises: the cluster is whole or absent (it is made beside its place and renamed); a start after kill -9, power cut or
with an orphaned server around succeeds by itself; the server ends with its parent; nobody but this user can connect,
since it listens only on a Unix socket in a folder of mode 0700. Failures are `LocalProblem`s that carry the server's
last words.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from . import leash, leftovers
from .account import Account, lent_account
from .binaries import Binaries, find_binaries
from .lock import DirectoryLock
from .ping import answers
from .problems import LocalProblem

#: sun_path holds 104 bytes on macOS, 108 on Linux; the socket's name takes 15 of them.
_LONGEST_SOCKET_FOLDER = 85
_SERVER_OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    "jit": "off",
}


class Shutdown(IntEnum):
    """PostgreSQL's ways to end: `FAST` disconnects clients and checkpoints, `IMMEDIATE` is a crash on request."""

    FAST = signal.SIGINT
    IMMEDIATE = signal.SIGQUIT
    KILL = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Command:
    """What to execute: arguments, environment, and the descriptors that must be inherited."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


class Cluster:
    """A PostgreSQL data directory under `lock.directory`, and how to serve it. `prepare` before each `command`."""

    def __init__(self, lock: DirectoryLock, *, options: Mapping[str, str] | None = None) -> None:
        self._lock = lock
        self._options = {**_SERVER_OPTIONS, **(options or {})}
        self._root = lock.directory / "postgres"
        self._account: Account | None = lent_account(self._root / "18")
        self._binaries: Binaries = find_binaries(self._account)
        self.folder = self._root / str(self._binaries.major)
        self._descriptor: int | None = None
        self._sockets: Path | None = None

    @property
    def socket(self) -> Path:
        assert self._sockets is not None, "prepare() makes the socket folder"
        return self._sockets / ".s.PGSQL.5432"

    def url(self, database: str = "stepwell") -> str:
        return f"postgresql://stepwell@/{database}?host={quote(str(self.socket.parent), safe='/')}"

    def prepare(self) -> None:
        """Clear what an earlier start left behind; make the cluster if there is none. Blocks for up to a few seconds.
        Raises LocalProblem."""
        leftovers.clear(self.folder)
        if not (self.folder / "PG_VERSION").exists():
            self._initialise()
        if self._sockets is None:
            self._sockets = self._make_socket_folder()

    def command(self) -> Command:
        """The server's command line. It ends with the calling process (and thread), by a fast shutdown."""
        program = self._binaries.program("postgres")
        options = {
            **self._options,
            "unix_socket_directories": str(self.socket.parent),
            "unix_socket_permissions": "0700",
        }
        arguments = [
            program,
            "-D",
            self._path(),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ]
        return Command(self._leashed(arguments), _environment(), self._descriptors())

    def answers(self, *, timeout: float = 2.0) -> bool:
        """Whether a session could begin now. While the server says that it is still recovering it isn't asked: each
        question would leave an error in its log."""
        with contextlib.suppress(OSError):
            lines = (self.folder / "postmaster.pid").read_text(errors="replace").splitlines()
            return len(lines) > 7 and lines[7].strip() == "ready" and answers(self.socket, timeout=timeout)
        return False

    def close(self) -> None:
        """Remove the socket folder. The cluster stays."""
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _initialise(self) -> None:
        self._root.mkdir(mode=0o700, exist_ok=True)
        scratch = self._root / "being-made"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        if self._account:
            os.chown(scratch, self._account.uid, self._account.gid)
        place, self.folder = self.folder, scratch
        try:
            self._run(
                "initdb",
                "-D",
                self._path(),
                "-U",
                "stepwell",
                "-E",
                "UTF8",
                "--locale=C",
                "--auth-local=trust",
                "--auth-host=reject",
            )
            self._run("postgres", "--single", "-D", self._path(), "postgres", text="create database stepwell\n")
        finally:
            self.folder = place
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
        scratch.rename(place)

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        result = subprocess.run(  # noqa: S603 - our own arguments
            self._leashed([self._binaries.program(program), *arguments]),
            input=text,
            env=_environment(),
            pass_fds=self._descriptors(),
            cwd="/",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if result.returncode != 0:
            raise LocalProblem(
                f"PostgreSQL could not be set up in {self._root} ({program}): {_last_lines(result.stdout)}"
            )

    def _leashed(self, arguments: list[str]) -> tuple[str, ...]:
        account = f"{self._account.uid}:{self._account.gid}" if self._account else "-"
        return (
            sys.executable,
            "-I",
            "-S",
            leash.__file__,
            str(os.getpid()),
            str(int(Shutdown.FAST)),
            account,
            *arguments,
        )

    def _descriptors(self) -> tuple[int, ...]:
        return () if self._descriptor is None else (self._descriptor,)

    def _path(self) -> str:
        """The cluster's path as the server's account can walk it. Where a folder above is closed to that account
        (root's own home), the server is handed the opened folder instead, and reaches it without passing the ones
        above."""
        if self._account is None or self._account.may_pass(self.folder):
            return str(self.folder)
        if sys.platform != "linux":
            raise LocalProblem(
                f"PostgreSQL must run as `{self._account.name}` (it refuses root), which can't reach {self.folder}: "
                "choose another --data-dir, or run as a plain user"
            )
        if self._descriptor is None:
            self._descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._descriptor}"

    def _make_socket_folder(self) -> Path:
        for place in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - mkdtemp inside
            if not place.is_dir() or (self._account and not self._account.may_pass(place)):
                continue
            if len(os.fsencode(place)) + len(leftovers.SOCKET_PREFIX) + 9 > _LONGEST_SOCKET_FOLDER:
                continue
            folder = Path(tempfile.mkdtemp(prefix=leftovers.SOCKET_PREFIX, dir=place))
            if self._account:
                os.chown(folder, self._account.uid, self._account.gid)
            return folder
        raise LocalProblem("no folder for PostgreSQL's socket: set TMPDIR to a short path that every user may enter")


class Postgres:
    """A served cluster, for callers without a supervisor. Starts, stops, starts again; a context manager stops it."""

    def __init__(self, cluster: Cluster, *, log: Path) -> None:
        self.cluster = cluster
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, timeout: float = 60.0) -> None:
        """Returns when it answers. Raises LocalProblem with the log's last lines when it ends or stays silent."""
        if self.running:
            return
        self.cluster.prepare()
        command = self.cluster.command()
        with self._log.open("ab") as log:
            start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                command.arguments,
                env=command.environment,
                pass_fds=command.descriptors,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not self.cluster.answers():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.stop(Shutdown.KILL)
                with self._log.open("rb") as log:
                    log.seek(start)
                    words = _last_lines(log.read().decode(errors="replace"))
                raise LocalProblem(f"PostgreSQL {'ended' if ended else f'was not ready after {timeout:g} s'}: {words}")
            time.sleep(0.02)

    def stop(self, how: Shutdown = Shutdown.FAST, *, timeout: float = 30.0) -> None:
        """End it; harmless when it isn't running. A fast shutdown that takes longer than `timeout` becomes an
        immediate one."""
        process = self._process
        if process is None:
            return
        for sign in (how, Shutdown.IMMEDIATE, Shutdown.KILL):
            if process.poll() is None:
                process.send_signal(sign)
                process.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout)
                break
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.cluster.close()


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PGDATA, PGPORT and a foreign locale would change what the server does."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _last_lines(text: str, count: int = 5) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines()[-count:]) or "it said nothing"
