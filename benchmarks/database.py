"""The Postgres of a measurement: the embedded one with its durable defaults, or the one that STEPWELL_BENCH_DATABASE_URL names.

With a server of somebody else's only the time of the others is told apart: its CPU can't be seen from here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stepwell_engine.local.lock import DirectoryLock
from stepwell_engine.local.postgres import Cluster, Postgres

OPTIONS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}


@dataclass(frozen=True, slots=True)
class Database:
    """A server. `pid` of its first process, if it is ours."""

    url: str
    pid: int | None

    @classmethod
    @contextmanager
    def open(cls, scratch: Path) -> "Iterator[Database]":
        if given := os.environ.get("STEPWELL_BENCH_DATABASE_URL"):
            yield cls(given, None)
            return
        folder = scratch / "database"
        folder.mkdir()
        with (
            DirectoryLock.acquire(folder) as lock,
            Postgres(Cluster(lock, options=OPTIONS), log=scratch / "postgres.log") as server,
        ):
            yield cls(server.cluster.url("postgres"), server.pid)

    def fresh(self, name: str) -> str:
        """The URL of an empty database of this name."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            connection.execute("checkpoint")
        return self.named(name)

    def named(self, name: str) -> str:
        parts = conninfo_to_dict(make_conninfo(self.url, dbname=name))
        user, host = parts.get("user", "postgres"), str(parts.get("host", "localhost"))
        if host.startswith("/"):
            return f"postgresql://{user}@/{name}?host={host}"
        word = f":{parts['password']}" if parts.get("password") else ""
        return f"postgresql://{user}{word}@{host}:{parts.get('port', 5432)}/{name}"

    @property
    def groups(self) -> dict[str, int]:
        return {} if self.pid is None else {"database": self.pid}
