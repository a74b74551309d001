"""The Postgres that the tests run on.

One server for the whole test session: the embedded one, or an external one named by STEPWELL_TEST_DATABASE_URL (whose
user must be allowed to create databases; this is how the suite runs on the oldest supported release). The embedded
server keeps its data in a scratch folder and doesn't wait for the disk: tests that cut the power start a server of
their own with `own_postgres`.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stepwell_engine.local.lock import DirectoryLock
from stepwell_engine.local.postgres import Cluster, Postgres

#: The data is thrown away at the end, so nothing needs to reach the disk.
_UNSAFE_AND_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum_naptime": "5s"}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `url` names its maintenance database."""

    url: str
    version: str

    def database(self, name: str) -> str:
        """The URL of another database on this server."""
        if self.url.startswith(("postgresql://", "postgres://")):
            head, _, query = self.url.partition("?")
            scheme, _, rest = head.partition("://")
            return f"{scheme}://{rest.partition('/')[0]}/{name}{'?' + query if query else ''}"
        return make_conninfo(self.url, dbname=name)


@contextmanager
def own_postgres(folder: Path, *, options: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """A server of one test's own, durable unless `options` say otherwise; may be stopped, killed and started again."""
    with (
        DirectoryLock.acquire(folder) as lock,
        Postgres(Cluster(lock, options=options), log=folder / "postgres.log") as postgres,
    ):
        yield postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    external = os.environ.get("STEPWELL_TEST_DATABASE_URL")
    if external:
        yield _server(external)
        return
    folder = Path(tempfile.mkdtemp(prefix="stepwell-test-"))
    try:
        with own_postgres(folder, options=_UNSAFE_AND_FAST) as postgres:
            yield _server(postgres.cluster.url("postgres"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _server(url: str) -> Server:
    with psycopg.connect(url) as connection:
        return Server(url, str(connection.info.parameter_status("server_version")))
