"""An embedded PostgreSQL that runs as a child of this process, for callers without a supervisor: tests, benchmarks.

It starts and stops any number of times, in each of PostgreSQL's ways, and ends with this process. `stepwell dev` gives
the same `Cluster` to its own supervisor instead.
"""

import contextlib
import signal
import subprocess
import time
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from .cluster import Cluster
from .problems import LocalProblem, last_words

__all__ = ["Cluster", "Postgres", "Shutdown"]


class Shutdown(IntEnum):
    """PostgreSQL's ways to end: `FAST` disconnects clients and checkpoints, `IMMEDIATE` is a crash on request."""

    FAST = signal.SIGINT
    IMMEDIATE = signal.SIGQUIT
    KILL = signal.SIGKILL


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
                    words = last_words(log.read().decode(errors="replace"))
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
