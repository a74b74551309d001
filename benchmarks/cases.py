"""What is measured of each system: throughput at several concurrencies, and one run after another."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

from benchmarks.load import Finished
from benchmarks.meter import Meter, Usage
from benchmarks.systems import System

STEPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`seconds` of load at each concurrency, `runs` one after another."""

    concurrencies: tuple[int, ...] = (32, 128, 512)
    seconds: float = 10.0
    runs: int = 300
    warm_up: float = 3.0

    @classmethod
    def quick(cls) -> Self:
        return cls(concurrencies=(32, 128), seconds=1.5, runs=40, warm_up=0.5)

    def at(self, concurrencies: tuple[int, ...]) -> Self:
        return replace(self, concurrencies=concurrencies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """`cpu_per_step` in seconds by group of processes."""

    concurrency: int
    runs_per_second: float
    steps_per_second: float
    cpu_per_step: dict[str, float]
    memory: dict[str, int]
    strangers: float
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One run after another, in seconds: start to done, and a step's start to the next one's."""

    run_p50: float
    run_p99: float
    step_p50: float
    step_p99: float
    strangers: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    name: str
    latency: Latency
    throughput: tuple[Throughput, ...] = field(default_factory=tuple)

    @property
    def best(self) -> Throughput:
        return max(self.throughput, key=lambda each: each.steps_per_second)


async def measure(system: System, plan: Plan, *, say: Callable[[str], None]) -> Measured:
    async with system.running():
        numbers = iter(range(1_000_000_000))
        await _load(system, numbers, concurrency=32, seconds=plan.warm_up)
        latency = await _latency(system, numbers, plan.runs)
        say(f"  one run after another: {latency.run_p50 * 1e3:.1f} ms p50, {latency.run_p99 * 1e3:.1f} ms p99")
        throughput: list[Throughput] = []
        for concurrency in plan.concurrencies:
            throughput.append(await _throughput(system, numbers, concurrency, plan.seconds))
            say(f"  {concurrency} at once: {throughput[-1].steps_per_second:,.0f} steps/s")
    return Measured(name=system.name, latency=latency, throughput=tuple(throughput))


async def _latency(system: System, numbers: Iterator[int], runs: int) -> Latency:
    with Meter(**system.groups) as meter:
        finished = await system.flows((next(numbers) for _ in range(runs)), concurrency=1, steps=STEPS)
    await system.settled()
    seconds = sorted(run.seconds for run in finished)
    gaps = sorted(gap for run in finished for gap in run.gaps)
    return Latency(
        run_p50=statistics.median(seconds),
        run_p99=_share(seconds, 0.99),
        step_p50=statistics.median(gaps),
        step_p99=_share(gaps, 0.99),
        strangers=_usage(meter).strangers,
    )


async def _throughput(system: System, numbers: Iterator[int], concurrency: int, seconds: float) -> Throughput:
    with Meter(**system.groups) as meter:
        finished = await _load(system, numbers, concurrency=concurrency, seconds=seconds)
    usage = _usage(meter)
    steps = len(finished) * STEPS
    return Throughput(
        concurrency=concurrency,
        runs_per_second=len(finished) / usage.seconds,
        steps_per_second=steps / usage.seconds,
        cpu_per_step={name: used / steps for name, used in usage.cpu.items()},
        memory=dict(usage.memory),
        strangers=usage.strangers,
        median=statistics.median(run.seconds for run in finished),
    )


async def _load(system: System, numbers: Iterator[int], *, concurrency: int, seconds: float) -> list[Finished]:
    """Load for `seconds`, then until all that was started is durably done."""
    deadline = time.perf_counter() + seconds

    def until_deadline() -> Iterator[int]:
        while time.perf_counter() < deadline:
            yield next(numbers)

    finished = await system.flows(until_deadline(), concurrency=concurrency, steps=STEPS)
    await asyncio.wait_for(system.settled(), timeout=120)
    return finished


def _usage(meter: Meter) -> Usage:
    assert meter.usage is not None
    return meter.usage


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
