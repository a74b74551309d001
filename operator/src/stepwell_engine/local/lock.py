"""One owner per data directory.

An advisory lock (flock) on a file in the directory: the kernel drops it when its holder dies, however it dies, so
there is no stale lock to clean up after a power cut. The file's text says who holds it, for the message to the second
one. The descriptor is not inherited, so that a child that outlives its parent doesn't hold the lock for it.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Self

from .problems import AlreadyRunning, LocalProblem


class DirectoryLock:
    """Held from `acquire` to `release`, or until the process ends."""

    def __init__(self, directory: Path, descriptor: int) -> None:
        self.directory = directory
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, directory: Path) -> Self:
        """Makes the directory if need be. Raises AlreadyRunning naming the holder, LocalProblem if it can't be
        written."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LocalProblem(
                f"the data directory {directory} can't be used ({error.strerror}): choose another with --data-dir"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _describe(descriptor)
            os.close(descriptor)
            raise AlreadyRunning(
                f"the data directory {directory} is already in use by {holder}: stop that one first, "
                "or give this one its own with --data-dir (and --port)"
            ) from None
        lock = cls(directory, descriptor)
        lock.note(pid=os.getpid())
        return lock

    def note(self, **facts: object) -> None:
        """Replace what the next contender is told about this holder."""
        assert self._descriptor is not None, "the lock was released"
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(facts).encode(), 0)

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _describe(descriptor: int) -> str:
    try:
        facts = json.loads(os.pread(descriptor, 4096, 0))
        address = f" at {facts['address']}" if "address" in facts else ""
        return f"process {facts['pid']}{address}"
    except (ValueError, KeyError, TypeError):
        return "another process"
