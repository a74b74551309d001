"""The benchmark runs as its command says, on real processes, and leaves none behind."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("system", ["one step per call", "checkpointing", "plain app"])
def test_the_benchmark_measures_and_cleans_up(system: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", system, "--concurrency", "8"]
    run = subprocess.Popen(
        [*command, "--results", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    below: set[psutil.Process] = set()
    while run.poll() is None:
        below.update(psutil.Process(run.pid).children(recursive=True))
        try:
            run.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    output = run.communicate()[0]
    assert run.returncode == 0, output
    (written,) = tmp_path.glob("*.json")
    (measured,) = json.loads(written.read_text())["systems"]
    assert measured["throughput"][0]["steps_per_second"] > 0
    assert 0 < measured["latency"]["step_p50"] < measured["latency"]["run_p50"]
    assert below, "no processes were seen: the check below would prove nothing"
    assert not [process for process in below if process.is_running()], "processes were left behind"
