"""A PostgreSQL data directory of our own, and how to serve it.

Promises: the cluster is whole or absent (it is made beside its place and renamed); nobody but this user can connect,
since it listens only on a Unix socket in a folder of mode 0700; what an earlier start left behind is cleared first;
the server ends with its parent. Failures are `LocalProblem`s that carry PostgreSQL's last words.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from . import leftovers
from .account import Account, lent_account
from .binaries import Binaries, find_binaries
from .command import Command
from .lock import DirectoryLock
from .ping import answers
from .problems import LocalProblem, last_words

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
#: Nothing of the caller's: PGDATA, PGPORT and a foreign locale would change what the server does.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


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
        self._socket_note = self._root / "sockets"

    @property
    def stop_signal(self) -> signal.Signals:
        """Fast shutdown: clients are disconnected, nothing needs recovery."""
        return signal.SIGINT

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
            leftovers.remove_sockets(self._socket_note)
            self._sockets = self._make_socket_folder()
            self._socket_note.write_text(str(self._sockets))

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
        return self._leashed(arguments)

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
            leftovers.remove_sockets(self._socket_note)
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
        command = self._leashed([self._binaries.program(program), *arguments])
        result = subprocess.run(  # noqa: S603 - our own arguments
            command.arguments,
            input=text,
            env=command.environment,
            pass_fds=command.descriptors,
            cwd="/",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if result.returncode != 0:
            raise LocalProblem(
                f"PostgreSQL could not be set up in {self._root} ({program}): {last_words(result.stdout)}"
            )

    def _leashed(self, arguments: list[str]) -> Command:
        return Command.leashed(
            arguments,
            environment=_ENVIRONMENT,
            descriptors=() if self._descriptor is None else (self._descriptor,),
            death_signal=signal.SIGINT,
            account=self._account,
        )

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
