"""`stepwell-dashboard`: the API, the streams and the page, over a journal that others write.

SIGTERM and SIGINT end the streams, then wait for requests under way; a second one ends the process at once. What can't be
started says why in one sentence, exit code 1.
"""

import sys

import uvicorn
import uvloop

from stepwell_engine.errors import StepwellError
from stepwell_engine.journal import Journal
from stepwell_engine.settings import Settings
from stepwell_engine.telemetry import configure_logging

from .access import Access
from .app import create_app
from .server import Server

_DRAIN_SECONDS = 10


def main() -> None:
    try:
        settings = Settings.from_environment(port=3030)
        configure_logging(level=settings.log_level, format=settings.log_format)
        uvloop.run(_run(settings))
    except StepwellError as error:
        print(f"stepwell-dashboard: {error}", file=sys.stderr)
        sys.exit(1)


async def _run(settings: Settings) -> None:
    Access(settings)
    async with await Journal.open(settings.database_url, sealer=settings.sealer, size=settings.pool_size) as journal:
        app = create_app(settings, journal)
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http="httptools",
            loop="none",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        await Server(config, app).serve()


if __name__ == "__main__":
    main()
