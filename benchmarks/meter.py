"""CPU and memory of groups of processes over a stretch of time.

A group is the tree below one process. Processes that end meanwhile are counted by the parent that reaps them, so that
Postgres' short-lived backends don't escape. What the rest of the machine used is told too: a figure taken while strangers
were busy is worth little.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """`cpu` in seconds by group, `memory` in bytes by group, `strangers` in cores."""

    seconds: float
    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    strangers: float


class Meter:
    """`with Meter(engine=pid, app=pid) as meter: …`, then `meter.usage`. This process is the group `client`."""

    def __init__(self, **groups: int) -> None:
        self._groups = groups
        self.usage: Usage | None = None

    def __enter__(self) -> Self:
        self._before = self._cpu()
        self._busy = _machine()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._began
        busy, after = _machine() - self._busy, self._cpu()
        cpu = {name: after[name] - self._before[name] for name in after}
        self.usage = Usage(
            seconds=seconds,
            cpu=cpu,
            memory={name: sum(each.memory_info().rss for each in _tree(pid)) for name, pid in self._groups.items()},
            strangers=max(0.0, busy - sum(cpu.values())) / seconds,
        )

    def _cpu(self) -> dict[str, float]:
        found = {name: _cpu_of(pid) for name, pid in self._groups.items()}
        own = psutil.Process().cpu_times()
        return {**found, "client": own.user + own.system}


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu_of(pid: int) -> float:
    total = 0.0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _machine() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + getattr(times, "softirq", 0.0) + getattr(times, "irq", 0.0))
