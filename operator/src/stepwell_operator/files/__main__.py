"""`python -m stepwell_operator.files PATH…`: reconcile manifest files against the engine's Postgres, until Ctrl-C."""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from stepwell_engine.errors import StepwellError
from stepwell_engine.settings import Settings
from stepwell_engine.telemetry import configure_logging

from .run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stepwell_operator.files", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="manifest files, or folders of them")
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment()
        configure_logging(level=settings.log_level, format=settings.log_format)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run(arguments.paths, settings=settings, say=lambda line: print(line, flush=True)))
    except StepwellError as error:
        print(f"manifests: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
