"""Real processes in tests: start, read lines with a deadline, end, and find what they left behind."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


class Process:
    """A child process whose output is read as it comes. Used as a context manager it is killed at the end, with all of
    its descendants."""

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ):
        self.lines: list[str] = []
        self._arrived: queue.Queue[str | None] = queue.Queue()
        self._popen = subprocess.Popen(
            list(arguments),
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for_line(self, fragment: str, *, timeout: float = 30) -> str:
        """The next unread line that holds `fragment`. Fails with everything said so far when the output ends without
        it."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {fragment!r} within {timeout:g} s in:\n{self.output}") from None
            assert line is not None, f"the process ended without saying {fragment!r}:\n{self.output}"
            if fragment in line:
                return line

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def send(self, sign: signal.Signals) -> None:
        self._popen.send_signal(sign)

    def wait(self, *, timeout: float = 30) -> int:
        """The exit code (negative: the signal)."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s:\n{self.output}") from None
        self._close()
        return code

    def family(self) -> list[psutil.Process]:
        """Its living descendants, itself not included."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [process for process in psutil.Process(self.pid).children(recursive=True) if alive(process)]
        return []

    def kill_family(self) -> None:
        """A power cut: the process and everything it started, at once, Postgres included."""
        family = self.family()
        with contextlib.suppress(psutil.NoSuchProcess):
            # Stopped first, so that it can't start replacements for what is being killed.
            psutil.Process(self.pid).suspend()
        family += [process for process in self.family() if process not in family]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._popen.kill()
        self.wait()
        wait_until(lambda: not any(alive(process) for process in family), "the whole family is dead")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.kill_family()
        self._close()

    def _close(self) -> None:
        self._reader.join(timeout=5)
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with contextlib.suppress(ValueError):
            for line in self._popen.stdout:
                self.lines.append(line.rstrip("\n"))
                self._arrived.put(line.rstrip("\n"))
        self._arrived.put(None)


def alive(process: psutil.Process) -> bool:
    """Running, and not merely unburied."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], what: str, *, timeout: float = 30, interval: float = 0.02) -> None:
    """Poll `condition`, which nothing signals, until it holds. Fails naming `what`."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(interval)
