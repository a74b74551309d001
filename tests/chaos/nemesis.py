"""Kills, freezes and restarts, at random but from a seed; what was done to whom and when goes to a log.

Rounds: in each, every kind of fault comes once, in a shuffled order. After each fault the nemesis waits until the stack
answers again (it must, by itself or with the one command that a person would type) and a moment of peace, so that work gets
done between the faults.
"""

import contextlib
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from chaos.dump import driven
from chaos.world import World
from harness.process import alive, wait_until

#: Lease and nemesis fit together: freezes last from a third of a lease to twice as long.
LEASE_SECONDS = 4
_RECOVERY_SECONDS = 60


class Nemesis:
    def __init__(self, world: World, log: Path, *, seed: int) -> None:
        self._world = world
        self._log = log
        self._random = random.Random(seed)
        self.faults: dict[str, Callable[[], None]] = {
            "kill engine": self._kill_engine,
            "kill web": lambda: self._kill("web"),
            "kill postgres": lambda: self._kill("postgres"),
            "kill manifests": lambda: self._kill("manifests"),
            "crash postgres": lambda: self._kill("postgres", signal.SIGQUIT),
            "kill supervisor": self._kill_supervisor,
            "power cut": self._power_cut,
            "restart": self._restart,
            "kill app": self._kill_app,
            "freeze engine": lambda: self._freeze("engine", 0.3, 2.0),
            "freeze postgres": lambda: self._freeze("postgres", 0.2, 0.8),
            "freeze web": lambda: self._freeze("web", 0.2, 0.8),
            "freeze everything": self._freeze_everything,
        }

    def rage(self, seconds: float) -> None:
        """At least one round of every fault, and as many as fit into `seconds`."""
        deadline = time.monotonic() + seconds
        rounds = 0
        while time.monotonic() < deadline or rounds == 0:
            kinds = list(self.faults)
            self._random.shuffle(kinds)
            for kind in kinds:
                if rounds and time.monotonic() > deadline:
                    return
                self._do(kind)
            rounds += 1

    def _do(self, kind: str) -> None:
        began = time.time()
        self.faults[kind]()
        ended = time.time()
        wait_until(self._world.well, f"the stack answers again after: {kind}", timeout=_RECOVERY_SECONDS)
        with self._log.open("a") as log:
            log.write(json.dumps({"kind": kind, "began": began, "ended": ended, "well": time.time()}) + "\n")
        time.sleep(self._random.uniform(0.1, 1.5))

    def _kill(self, role: str, sign: signal.Signals = signal.SIGKILL) -> None:
        victim = self._world.dev.wait_for_child(role)
        victim.send_signal(sign)
        wait_until(lambda: not alive(victim), f"{role} is dead")

    def _kill_engine(self) -> None:
        """While it drives a run, so that a lease is lost."""
        url = self._world.dev.database_url()
        wait_until(lambda: driven(url) > 0, "the engine drives a run", interval=0.002)
        self._kill("engine")

    def _kill_supervisor(self) -> None:
        process = self._world.process
        family = process.family()
        process.send(signal.SIGKILL)
        process.wait()
        wait_until(lambda: not any(alive(child) for child in family), "the children die with the supervisor")
        self._world.start_stack()

    def _power_cut(self) -> None:
        self._world.process.kill_family()
        self._world.start_stack()

    def _restart(self) -> None:
        self._world.process.send(signal.SIGTERM)
        code = self._world.process.wait(timeout=60)
        assert code == 0, f"a clean stop ended with {code}:\n{self._world.process.output}"
        self._world.start_stack()

    def _kill_app(self) -> None:
        self._world.kill_app()
        time.sleep(self._random.uniform(0, 1))
        self._world.start_app()

    def _freeze(self, role: str, least: float, most: float) -> None:
        with _frozen([self._world.dev.wait_for_child(role)]):
            time.sleep(self._random.uniform(least, most) * LEASE_SECONDS)

    def _freeze_everything(self) -> None:
        with _frozen([psutil.Process(self._world.process.pid), *self._world.process.family()]):
            time.sleep(self._random.uniform(0.3, 1.5) * LEASE_SECONDS)


@contextlib.contextmanager
def _frozen(victims: list[psutil.Process]) -> Iterator[None]:
    try:
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.suspend()
        yield
    finally:
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.resume()
