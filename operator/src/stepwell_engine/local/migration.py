"""The schema of the local database, brought up to this release before each start of the engine."""

import asyncio

from ..journal.database import Lost
from ..journal.migrate import migrate
from .problems import LocalProblem


def migrated(url: str) -> None:
    """Blocks until done. Raises LocalProblem when Postgres can't be reached, SchemaMismatch when it is too new."""
    try:
        asyncio.run(migrate(url))
    except Lost as error:
        raise LocalProblem(f"no connection to Postgres: {str(error).strip()}") from error
