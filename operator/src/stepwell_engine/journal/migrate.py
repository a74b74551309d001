"""Schema migrations: numbered SQL files, applied in order, each in a transaction of its own, under one lock.

Expand, then contract: a migration must leave the schema usable by the release before it, so that N-1 and N run side by
side. An engine refuses a schema that is newer than the newest file it carries, and one that is older. A file is never
edited once released: its checksum is recorded and compared.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import LiteralString

from psycopg import AsyncConnection, errors

from ..errors import SchemaMismatch

#: Held for the whole of a migration, so that two installers wait for each other. Transaction-level, pooler-safe.
_LOCK = 0x5354_4550_5745_4C4C  # "STEPWELL"


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: LiteralString

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations this release carries, in order."""
    found = [
        Migration(int(path.name[:4]), path.name[5:-4], path.read_text())
        for path in files(__package__).joinpath("migrations").iterdir()
        if path.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.number)


async def migrate(database_url: str) -> list[str]:
    """Bring the schema up to this release. Safe to run from several places at once; returns the names applied.
    Raises SchemaMismatch when the database is newer than this release or a released file was edited."""
    applied: list[str] = []
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        for migration in migrations():
            async with connection.transaction():
                await connection.execute("set local lock_timeout = '30s'")
                await connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
                await connection.execute("create schema if not exists stepwell")
                await connection.execute(
                    "create table if not exists stepwell.migration "
                    "(number integer primary key, name text not null, checksum text not null, applied_at timestamptz not null default now())"
                )
                row = await (
                    await connection.execute(
                        "select checksum from stepwell.migration where number = %s", [migration.number]
                    )
                ).fetchone()
                if row is not None:
                    if row[0] != migration.checksum:
                        raise SchemaMismatch(
                            f"migration {migration.number:04} {migration.name} was edited after it had been applied: restore the released file"
                        )
                    continue
                await connection.execute(migration.sql)
                await connection.execute(
                    "insert into stepwell.migration (number, name, checksum) values (%s, %s, %s)",
                    [migration.number, migration.name, migration.checksum],
                )
                applied.append(f"{migration.number:04}_{migration.name}")
        await _refuse_newer(connection)
    return applied


async def check(connection: AsyncConnection[tuple[object, ...]]) -> None:
    """Raises SchemaMismatch unless the schema is exactly the one this release knows."""
    try:
        await _refuse_newer(connection)
        row = await (await connection.execute("select coalesce(max(number), 0) from stepwell.migration")).fetchone()
    except errors.UndefinedTable:
        row = (0,)
    have, want = int(str(row[0])) if row else 0, migrations()[-1].number
    if have < want:
        raise SchemaMismatch(
            f"the schema is at migration {have}, this engine needs {want}: run `stepwell-engine migrate` first"
        )


async def _refuse_newer(connection: AsyncConnection[tuple[object, ...]]) -> None:
    row = await (await connection.execute("select max(number) from stepwell.migration")).fetchone()
    have, newest = int(str(row[0] or 0)) if row else 0, migrations()[-1].number
    if have > newest:
        raise SchemaMismatch(
            f"the schema is at migration {have}, this release knows up to {newest}: run a newer release"
        )
