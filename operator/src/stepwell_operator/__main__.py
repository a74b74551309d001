"""`stepwell-operator`: reconciles the cluster's resources with the engine until it is told to stop."""

import asyncio
import sys

from stepwell_engine.errors import StepwellError
from stepwell_engine.settings import Settings
from stepwell_engine.telemetry import configure_logging

from .cluster.operator import Operator
from .options import Options
from .world import WorldError


def main() -> None:
    try:
        settings, options = Settings.from_environment(), Options.from_environment()
        configure_logging(level=settings.log_level, format=settings.log_format)
        asyncio.run(_run(settings, options))
    except (StepwellError, WorldError) as error:
        print(f"stepwell-operator: {error}", file=sys.stderr)
        sys.exit(1)


async def _run(settings: Settings, options: Options) -> None:
    await Operator(settings, options).run()


if __name__ == "__main__":
    main()
