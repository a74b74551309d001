"""One supervised child: what it is, and one life of it.

`Child` is the description, `Life` a started process with its output. The output goes line by line to a log file of a
few megabytes, and its end is kept for the message that says why the child ended.
"""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .command import Command
from .problems import last_words

_KEPT_LINES = 20
_LONGEST_LINE = 4096
_LARGEST_FILE = 4_000_000


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive. `command` is asked anew for each start and may block (it runs in a thread); `healthy`
    says whether the running process does its work, and should give up by itself within a few seconds."""

    name: str
    command: Callable[[], Command]
    healthy: Callable[[], Awaitable[bool]]
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 15.0
    close: Callable[[], None] = lambda: None


class Log:
    """A child's output over all its lives: the end in memory, the rest in a file that can't grow without bound."""

    def __init__(self, path: Path, *, echo: Callable[[str], None]) -> None:
        self._file = path.open("ab")
        self._echo = echo
        self.path = path
        self.tail: deque[str] = deque(maxlen=_KEPT_LINES)

    def line(self, text: str) -> None:
        self.tail.append(text)
        self._echo(text)
        # A full disk must not end the stack.
        with contextlib.suppress(OSError):
            if self._file.tell() > _LARGEST_FILE:
                self._file.close()
                self.path.replace(self.path.with_suffix(".log.1"))
                self._file = self.path.open("ab")
            self._file.write(text.encode(errors="replace") + b"\n")
            self._file.flush()

    def last_words(self) -> str:
        return last_words("\n".join(self.tail))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


class Life:
    """From one start of a child to its end."""

    def __init__(self, process: asyncio.subprocess.Process, log: Log) -> None:
        self._process = process
        self._log = log
        self._pump = asyncio.create_task(self._read(), name="output")
        self.ended = asyncio.create_task(self._wait(), name="ended")

    @classmethod
    async def begin(cls, command: Command, log: Log) -> Self:
        log.tail.clear()
        process = await asyncio.create_subprocess_exec(
            *command.arguments,
            env=command.environment,
            pass_fds=command.descriptors,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return not self.ended.done()

    def obituary(self) -> str:
        """How it ended: `ended with code 3`, `was killed by SIGKILL`."""
        code = self._process.returncode
        if code is None:
            return "is still running"
        if code >= 0:
            return f"ended with code {code}"
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"

    async def end(self, sign: signal.Signals, *, patience: float) -> None:
        """Ask with `sign`; what is left of its process group after `patience` seconds is killed. Frozen ones wake."""
        if self.running:
            self._signal(sign)
            await asyncio.wait([self.ended], timeout=patience)
        self.kill()
        await self.ended

    def kill(self) -> None:
        """SIGKILL to the child's whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal(self, sign: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(sign)
            self._process.send_signal(signal.SIGCONT)

    async def _wait(self) -> int:
        code = await self._process.wait()
        # A grandchild may hold the pipe for longer; its words are not worth waiting for.
        await asyncio.wait([self._pump], timeout=1.0)
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pump
        return code

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        pending = b""
        while chunk := await stream.read(65536):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                self._log.line(line[:_LONGEST_LINE].decode(errors="replace"))
            pending = pending[:_LONGEST_LINE]
        if pending:
            self._log.line(pending.decode(errors="replace"))
