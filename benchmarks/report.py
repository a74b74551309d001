"""The results: one table, ratios first and figures below them, a JSON file, and a picture.

A ratio is always "how many times better": above 1 Stepwell is ahead, whether more or less is better. Figures that were taken while
other processes used more than a fifth of a core are marked `~`: measure again on a quiet machine.
"""

import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.cases import Measured, Plan
from benchmarks.picture import Bars, draw

OURS = "Stepwell"
NOISY = 0.2
MARKS = "to reach: steps/s, one step per call, at least 1.5 times Restate's; five steps alone, p50 at most 8 ms"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every system. `value` gives None where a system has none; `write` spells it."""

    label: str
    value: Callable[[Measured], float | None]
    write: Callable[[float], str]
    more_is_better: bool = True
    compared: bool = True

    def ratio(self, ours: Measured, other: Measured) -> float | None:
        mine, theirs = self.value(ours), self.value(other)
        if not self.compared or not mine or not theirs:
            return None
        return mine / theirs if self.more_is_better else theirs / mine


@dataclass(kw_only=True)
class Report:
    started: datetime
    plan: Plan
    measured: list[Measured] = field(default_factory=list)

    def add(self, one: Measured) -> None:
        self.measured.append(one)

    def show(self, console: Console) -> None:
        ours = [each for each in self.measured if each.name.startswith(OURS)]
        peers = [each for each in self.measured if not each.name.startswith(OURS)]
        ratios = Table(caption=MARKS, box=SIMPLE_HEAD)
        ratios.add_column("times better", no_wrap=True)
        for mine in ours:
            for peer in peers:
                ratios.add_column(
                    f"{mine.name.partition(', ')[2]}\nto {peer.name.partition(' ')[0]}", justify="right", style="bold"
                )
        figures = Table(box=SIMPLE_HEAD)
        figures.add_column("figures", no_wrap=True)
        for each in self.measured:
            figures.add_column(each.name.replace(", ", "\n"), justify="right")
        for row in self._rows():
            found = [row.ratio(mine, peer) for mine in ours for peer in peers]
            if any(found):
                ratios.add_row(row.label, *("" if ratio is None else f"{ratio:.2f} x" for ratio in found))
            values = [row.value(each) for each in self.measured]
            figures.add_row(row.label, *("" if value is None else row.write(value) for value in values))
        console.print(f"Runs of 5 steps · {_machine()} · {self.started:%Y-%m-%d %H:%M} UTC")
        if peers:
            console.print(ratios)
        console.print(figures)
        if noisy := [each.name for each in self.measured if _strangers(each) > NOISY]:
            console.print(f"~ other processes were busy while these were measured: {'; '.join(noisy)}")

    def write(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        stem = folder / f"{self.started:%Y%m%d-%H%M%S}"
        document = {
            "started": self.started.isoformat(),
            "machine": _machine(),
            "plan": asdict(self.plan),
            "systems": [asdict(each) for each in self.measured],
        }
        stem.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n")
        picture = draw(
            "Runs of 5 steps, each step durable before the next",
            (
                Bars(
                    "steps per second (more is better)", self._bars(lambda each: each.best.steps_per_second, "{:,.0f}")
                ),
                Bars(
                    "one run alone, p50 in ms (less is better)",
                    self._bars(lambda each: each.latency.run_p50 * 1e3, "{:.1f}"),
                ),
                Bars(
                    "CPU per step, all processes, in µs (less is better)",
                    self._bars(lambda each: _cpu(each) * 1e6, "{:,.0f}"),
                ),
            ),
            below=f"{_machine()}, {self.started:%Y-%m-%d}; CPU at the best rate",
        )
        stem.with_suffix(".svg").write_text(picture)
        return stem.with_suffix(".json")

    def _bars(self, value: Callable[[Measured], float], form: str) -> tuple[tuple[str, float, str], ...]:
        return tuple((each.name, value(each), form.format(value(each))) for each in self.measured)

    def _rows(self) -> Iterator[Row]:
        yield Row("steps/s, best", lambda each: each.best.steps_per_second, "{:,.0f}".format)
        yield Row("runs/s, best", lambda each: each.best.runs_per_second, "{:,.0f}".format)
        for concurrency in self.plan.concurrencies:
            yield Row(f"steps/s, {concurrency} at once", _at(concurrency), "{:,.0f}".format)
        yield Row("start → done, p50", lambda each: each.latency.run_p50, _ms, more_is_better=False)
        yield Row("start → done, p99", lambda each: each.latency.run_p99, _ms, more_is_better=False)
        yield Row("step → step, p50", lambda each: each.latency.step_p50, _ms, more_is_better=False)
        yield Row("step → step, p99", lambda each: each.latency.step_p99, _ms, more_is_better=False)
        yield Row("CPU per step, all", _cpu, _us, more_is_better=False)
        for group in ("engine", "app", "database"):
            yield Row(f"CPU per step, {group}", _cpu_of(group), _us, more_is_better=False)
        yield Row("memory of engine and app", _memory, _mib, more_is_better=False)
        yield Row("cores used by others", _strangers, "{:.2f}".format, compared=False)


def _at(concurrency: int) -> Callable[[Measured], float | None]:
    return lambda each: next((t.steps_per_second for t in each.throughput if t.concurrency == concurrency), None)


def _cpu(each: Measured) -> float:
    return sum(used for group, used in each.best.cpu_per_step.items() if group != "client")


def _cpu_of(group: str) -> Callable[[Measured], float | None]:
    return lambda each: each.best.cpu_per_step.get(group)


def _memory(each: Measured) -> float:
    return sum(size for group, size in each.best.memory.items() if group != "database")


def _strangers(each: Measured) -> float:
    return max([each.latency.strangers, *(found.strangers for found in each.throughput)])


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"


def _mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
