"""Killing everything with -9, freezing and restarting `stepwell dev` at random, under load from a version-1 app.

STEPWELL_CHAOS_SECONDS sets for how long (45 in `make test`; 120 and more by hand), STEPWELL_CHAOS_SEED what happens when. The
files of a run that failed are kept, and can be judged again: `PYTHONPATH=tests python -m chaos.checker FOLDER`.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.checker import judge, proves_nothing
from chaos.dump import dump, unfinished
from chaos.history import History
from chaos.nemesis import LEASE_SECONDS, Nemesis
from chaos.world import World
from harness.process import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1800)]

SECONDS = float(os.environ.get("STEPWELL_CHAOS_SECONDS", "45"))
SEED = int(os.environ.get("STEPWELL_CHAOS_SEED", secrets.randbelow(1_000_000)))
EVENTS_PER_SECOND = 12.0
#: The longest that a run may take when nobody disturbs it: its approval never comes.
LONGEST_RUN_SECONDS = 25


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="stepwell-chaos-"))
    failed_before = request.session.testsfailed
    yield path
    if request.session.testsfailed == failed_before:
        shutil.rmtree(path)


def test_nothing_is_lost_changed_repeated_or_left_hanging(folder: Path) -> None:
    print(f"seed {SEED}, {SECONDS:g} s, record in {folder}")  # noqa: T201 - shown when the test fails
    environment = {"STEPWELL_LEASE_SECONDS": str(LEASE_SECONDS), "STEPWELL_DRAIN_SECONDS": "3"}
    with World(folder, rate=EVENTS_PER_SECOND, seed=SEED, environment=environment) as world:
        nemesis = Nemesis(world, folder / "nemesis.jsonl", seed=SEED)
        nemesis.rage(SECONDS)
        world.finish()
        # When time runs out the checker says which runs hang, and on what.
        with contextlib.suppress(AssertionError):
            url, patience = world.dev.database_url(), LONGEST_RUN_SECONDS + 60
            wait_until(lambda: not unfinished(url), "every run ends", timeout=patience, interval=0.5)
        dump(world.dev.database_url(), folder / "dump.json")
    history = History.read(folder)
    verdict = judge(history)
    print(verdict)  # noqa: T201
    assert not verdict.violations, str(verdict)
    assert not proves_nothing(history, wanted=Counter(nemesis.faults.keys()), least_runs=int(3 * SECONDS))
