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
from psycopg.rows import TupleRow

from ..errors import SchemaMismatch, Unavailable
from .database import Lost, statement


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

    Raises SchemaMismatch when the database is newer than this release or a released file was edited, Unavailable when
    Postgres can't be reached."""
    try:
        connection = await AsyncConnection.connect(database_url, autocommit=True, connect_timeout=10)
    except Lost as error:
        raise Unavailable(f"no connection to Postgres: {str(error).strip()}") from error
    async with connection:
        applied = [migration for migration in migrations() if await _apply(connection, migration)]
        await _refuse_newer(connection)
    return [f"{migration.number:04}_{migration.name}" for migration in applied]


async def check(connection: AsyncConnection[TupleRow]) -> None:
    """Raises SchemaMismatch unless the schema is exactly the one this release knows."""
    try:
        have = await _refuse_newer(connection)
    except errors.UndefinedTable:
        have = 0
    want = migrations()[-1].number
    if have < want:
        raise SchemaMismatch(
            f"the schema is at migration {have}, this engine needs {want}: run `stepwell-engine migrate` first"
        )


async def _apply(connection: AsyncConnection[TupleRow], migration: Migration) -> bool:
    """Whether it was applied now, and not before."""
    async with connection.transaction():
        await connection.execute(statement("migrate/lock"))
        await connection.execute(statement("migrate/prepare"))
        await connection.execute(statement("migrate/create_ledger"))
        number = {"number": migration.number}
        row = await (await connection.execute(statement("migrate/find"), number)).fetchone()
        if row is not None:
            if row[0] != migration.checksum:
                raise SchemaMismatch(
                    f"migration {migration.number:04} {migration.name} was edited after it had been applied: "
                    "restore the released file"
                )
            return False
        await connection.execute(migration.sql)
        await connection.execute(
            statement("migrate/record"), {**number, "name": migration.name, "checksum": migration.checksum}
        )
    return True


async def _refuse_newer(connection: AsyncConnection[TupleRow]) -> int:
    row = await (await connection.execute(statement("migrate/newest"))).fetchone()
    have, newest = int(row[0]) if row else 0, migrations()[-1].number
    if have > newest:
        raise SchemaMismatch(
            f"the schema is at migration {have}, this release knows up to {newest}: run a newer release"
        )
    return have
