"""`python -m benchmarks`: measure, print the table, and write results as JSON and SVG."""

import argparse
import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from rich.console import Console

from benchmarks import peers
from benchmarks.cases import Plan, measure
from benchmarks.database import Database
from benchmarks.report import Report
from benchmarks.systems import System
from benchmarks.systems.dbos import Dbos
from benchmarks.systems.restate import Restate
from benchmarks.systems.stepwell import Stepwell

RESULTS = Path(__file__).parent / "results"


#: Columns of what is written into a file or a pipe.
_WIDTH = 120


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--peers", action="store_true", help="install Restate and DBOS into the cache if they are missing"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="measure only systems with NAME in theirs"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the time: to see that it works, not to compare"
    )
    parser.add_argument("--concurrency", type=int, action="append", metavar="N", help="runs at once; may be repeated")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where results are written")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    try:
        uvloop.run(_run(arguments, console))
    except peers.PeerProblem as error:
        console.print(f"[red]{error}")
        sys.exit(1)


async def _run(arguments: argparse.Namespace, console: Console) -> None:
    if arguments.peers:
        await asyncio.to_thread(peers.install, say=console.log)
    plan = Plan.quick() if arguments.quick else Plan()
    if arguments.concurrency:
        plan = plan.at(tuple(arguments.concurrency))
    report = Report(started=datetime.now(UTC), plan=plan)
    with tempfile.TemporaryDirectory(prefix="stepwell-bench-") as scratch, Database.open(Path(scratch)) as database:
        for system in _systems(database, Path(scratch)):
            if arguments.only and not any(name.lower() in system.name.lower() for name in arguments.only):
                continue
            console.log(f"measuring {system.name}")
            report.add(await measure(system, plan, say=console.log))
    report.show(console)
    console.print(f"written to {report.write(arguments.results)}")


def _systems(database: Database, scratch: Path) -> list[System]:
    systems: list[System] = [
        Stepwell(database, scratch, kind="one step per call", app="stepwell_app", checkpointing=False),
        Stepwell(database, scratch, kind="checkpointing", app="stepwell_app", checkpointing=True),
        Stepwell(database, scratch, kind="plain app", app="plain_app", checkpointing=False),
    ]
    if (server := peers.restate_server()) is not None:
        systems.append(
            Restate(server, peers.python(), scratch, version=peers.restate_version(), sdk=peers.version("restate-sdk"))
        )
    if peers.python().exists():
        systems.append(Dbos(peers.python(), database, scratch, version=peers.version("dbos")))
    return systems


if __name__ == "__main__":
    main()
