"""The benchmark's report: ratios point the right way, and what is written can be read."""

import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from benchmarks.cases import Latency, Measured, Plan, Throughput
from benchmarks.report import Report
from rich.console import Console


def system(name: str, *, steps: float, run: float, cpu: float, strangers: float = 0.0) -> Measured:
    throughput = Throughput(
        concurrency=32,
        runs_per_second=steps / 5,
        steps_per_second=steps,
        cpu_per_step={"engine": cpu, "app": cpu, "client": 9.0},
        memory={"engine": 2**20, "app": 2**20},
        strangers=strangers,
        median=run,
    )
    latency = Latency(run_p50=run, run_p99=run * 2, step_p50=run / 5, step_p99=run / 2, strangers=strangers)
    return Measured(name=name, latency=latency, throughput=(throughput,))


@pytest.fixture
def report() -> Report:
    made = Report(started=datetime(2026, 7, 5, 9, tzinfo=UTC), plan=Plan(concurrencies=(32,)))
    made.add(system("Stepwell, one step per call", steps=6000, run=0.005, cpu=0.0001))
    made.add(system("Restate", steps=2000, run=0.010, cpu=0.0004))
    return made


def shown(report: Report) -> dict[str, str]:
    console = Console(width=200, record=True, file=StringIO())
    report.show(console)
    text, _, _ = console.export_text().partition("figures")
    cells = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return {label: ratio for label, ratio, *_ in (row for row in cells if len(row) > 1)}


def test_a_ratio_above_one_means_that_we_are_ahead_whether_more_or_less_is_better(report: Report) -> None:
    ratios = shown(report)
    assert ratios["steps/s, best"] == "3.00 x"
    assert ratios["start → done, p50"] == "2.00 x"
    assert ratios["CPU per step, all"] == "4.00 x", "the client's own CPU doesn't count"


def test_a_figure_that_one_side_lacks_has_no_ratio(report: Report) -> None:
    assert "CPU per step, engine" in shown(report)
    assert "CPU per step, database" not in shown(report)


def test_figures_from_a_busy_machine_are_named() -> None:
    report = Report(started=datetime(2026, 7, 5, 9, tzinfo=UTC), plan=Plan(concurrencies=(32,)))
    report.add(system("Restate", steps=1, run=1, cpu=1, strangers=0.7))
    console = Console(width=200, record=True, file=StringIO())
    report.show(console)
    assert "other processes were busy while these were measured: Restate" in console.export_text()


def test_results_are_written_as_json_and_as_a_picture(report: Report, tmp_path: Path) -> None:
    written = report.write(tmp_path / "results")
    document = json.loads(written.read_text())
    assert [each["name"] for each in document["systems"]] == ["Stepwell, one step per call", "Restate"]
    picture = ET.parse(written.with_suffix(".svg")).getroot()
    assert any(element.text == "6,000" for element in picture.iter())
