"""Keeps a handful of children alive until told to stop.

They start in the given order, each once the one before answers, and stop in the reverse order. A child that ends, or
whose health check fails several times in a row (frozen, hung), is replaced after a short, growing pause; the others go
on meanwhile. One that can't stay up `_MOST_FAILURES` times in a row ends everything with its last words. SIGINT,
SIGTERM and SIGHUP stop everything cleanly; a second one kills what is still there. The supervisor's own death takes
the children along (see `leash`).
"""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..errors import StepwellError
from .child import Child, Life, Log
from .command import Command
from .problems import CrashLoop

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST_FAILURES = 5
_PROBE_EVERY = 2.0
_MOST_SILENT_PROBES = 4
#: A child that stayed healthy for so long has not failed to start, whatever ends it later.
_STEADY_AFTER = 5.0


class Supervisor:
    """`run` returns after a clean stop; raises CrashLoop. `say` gets one line per thing that a person should know."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        logs: Path,
        say: Callable[[str], None],
        echo: Callable[[str, str], None] = lambda _name, _line: None,
        interrupted: Callable[[], None] = lambda: None,
        start_timeout: float = 90.0,
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._interrupted = interrupted
        self._keepers = [
            _Keeper(child, Log(logs / f"{child.name}.log", echo=partial(echo, child.name)), say, start_timeout)
            for child in children
        ]
        self._asked = asyncio.Event()
        self._insisted = asyncio.Event()

    async def run(self, *, when_up: Callable[[], None]) -> None:
        """Start all, call `when_up`, keep all alive until a signal. Whatever happens, nothing is left running."""
        loop = asyncio.get_running_loop()
        for sign in _STOPPING:
            loop.add_signal_handler(sign, self._on_signal)
        work = asyncio.create_task(self._work(when_up), name="supervisor")
        asked = asyncio.create_task(self._asked.wait(), name="asked to stop")
        try:
            await asyncio.wait([work, asked], return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            if not work.done():
                work.cancel()
            await asyncio.wait([work])
            await self._stop()
            for sign in _STOPPING:
                loop.remove_signal_handler(sign)
        if not work.cancelled() and (error := work.exception()):
            raise _first(error)

    def pids(self) -> dict[str, int]:
        """The running children's process ids by name."""
        return {keeper.child.name: keeper.life.pid for keeper in self._keepers if keeper.life and keeper.life.running}

    def _on_signal(self) -> None:
        if self._asked.is_set():
            self._insisted.set()
        else:
            self._interrupted()
        self._asked.set()

    async def _work(self, when_up: Callable[[], None]) -> None:
        for keeper in self._keepers:
            await keeper.start_first()
        when_up()
        async with asyncio.TaskGroup() as group:
            for keeper in self._keepers:
                group.create_task(keeper.keep(), name=f"keep {keeper.child.name}")

    async def _stop(self) -> None:
        insisted = asyncio.create_task(self._insisted.wait(), name="insisted")
        for keeper in reversed(self._keepers):
            ending = asyncio.create_task(keeper.stop(), name=f"stop {keeper.child.name}")
            await asyncio.wait([ending, insisted], return_when=asyncio.FIRST_COMPLETED)
            if not ending.done() and keeper.life:
                keeper.life.kill()
            await ending
        insisted.cancel()


class _Keeper:
    """Keeps one child alive."""

    def __init__(self, child: Child, log: Log, say: Callable[[str], None], start_timeout: float) -> None:
        self.child = child
        self.life: Life | None = None
        self._log = log
        self._say = say
        self._start_timeout = start_timeout
        self._failures = 0
        self._preparing: asyncio.Task[Command] | None = None

    async def start_first(self) -> None:
        """As `start`, but what keeps it from even being tried (a port taken, no database) ends the start at once."""
        while not await self._try():
            await self._pause()

    async def start(self) -> None:
        """Until it is healthy, trying again as often as is reasonable. Raises CrashLoop."""
        while not await self._try_again():
            await self._pause()

    async def keep(self) -> None:
        while True:
            began = time.monotonic()
            await self._until_unwell()
            if time.monotonic() - began > _STEADY_AFTER:
                self._failures = 0
            else:
                self._failures += 1
            await self._pause()
            await self.start()
            self._say(f"{self.child.name} is back")

    async def stop(self) -> None:
        if self._preparing:
            await asyncio.wait([self._preparing])
        if self.life:
            await self.life.end(self.child.stop_signal, patience=self.child.patience)
        self.child.close()
        self._log.close()

    async def _try_again(self) -> bool:
        try:
            return await self._try()
        except StepwellError as error:
            self._log.line(str(error))
            self._failures += 1
            return False

    async def _try(self) -> bool:
        self._preparing = asyncio.create_task(asyncio.to_thread(self.child.command), name="prepare")
        self.life = life = await Life.begin(await asyncio.shield(self._preparing), self._log)
        deadline = time.monotonic() + self._start_timeout
        pause = 0.02
        while life.running and time.monotonic() < deadline:
            if await self.child.healthy():
                return True
            await asyncio.wait([life.ended], timeout=pause)
            pause = min(pause * 1.5, 0.25)
        if life.running:
            self._say(f"{self.child.name} did not get ready within {self._start_timeout:g} s")
        else:
            self._say(f"{self.child.name} {life.obituary()}: {self._log.last_words()}")
        await self._bury()
        self._failures += 1
        return False

    async def _until_unwell(self) -> None:
        life = self.life
        assert life is not None
        silent = 0
        while silent < _MOST_SILENT_PROBES:
            await asyncio.wait([life.ended], timeout=_PROBE_EVERY)
            if life.ended.done():
                self._say(f"{self.child.name} {life.obituary()}, starting it again")
                break
            silent = 0 if await self.child.healthy() else silent + 1
        else:
            self._say(f"{self.child.name} does not answer, starting it again")
        await self._bury()

    async def _bury(self) -> None:
        """Make sure that nothing of the old life is left before a new one begins."""
        assert self.life is not None
        self.life.kill()
        await self.life.ended

    async def _pause(self) -> None:
        if self._failures >= _MOST_FAILURES:
            raise CrashLoop(
                f"{self.child.name} can't stay up ({self._failures} times in a row). "
                f"Its last words: {self._log.last_words()} (all of them: {self._log.path})"
            )
        await asyncio.sleep(min(0.1 * 3**self._failures, 5.0) if self._failures else 0)


def _first(error: BaseException) -> BaseException:
    """What a person should see of a group of failures: the first one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
