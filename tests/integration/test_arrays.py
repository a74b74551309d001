"""Columns arrive in Postgres as they were: what psycopg reads back is what was sent."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from stepwell_engine.errors import Refused
from stepwell_engine.journal import arrays
from stepwell_engine.journal.arrays import Array

COLUMNS: list[tuple[type[Array], list[Any]]] = [
    (arrays.Uuids, [uuid4(), None, UUID(int=0), UUID(int=2**128 - 1)]),
    (arrays.Texts, ["", None, "NULL", 'a"b\\c{,}', "\u00e9\U0001f600"]),
    (arrays.Byteas, [b"", None, bytes(range(256))]),
    (arrays.Smallints, [0, None, -(2**15), 2**15 - 1]),
    (arrays.Integers, [0, None, -(2**31), 2**31 - 1]),
    (arrays.Bigints, [0, None, -(2**63), 2**63 - 1]),
    (arrays.Reals, [0.0, None, -1.5, 2.0**20]),
    (arrays.Booleans, [True, None, False]),
    (
        arrays.Timestamps,
        [
            datetime(2000, 1, 1, tzinfo=UTC),
            None,
            datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
            datetime.max.replace(tzinfo=UTC),
        ],
    ),
    (arrays.Intervals, [timedelta(), None, timedelta(days=400, microseconds=1), timedelta(seconds=-1)]),
]


@pytest.mark.parametrize(("kind", "values"), COLUMNS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_column_arrives_as_it_was(database_url: str, kind: type[Array], values: list[Any]) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("set time zone 'UTC'")
        for sent in (values, values[:1], []):
            row = connection.execute("select %s, pg_typeof(%s)::text", (kind(sent), kind(sent))).fetchone()
            assert row is not None
            assert row[0] == sent
            assert row[1].endswith("[]")


@pytest.mark.parametrize(
    ("kind", "value"),
    [(arrays.Smallints, 2**15), (arrays.Bigints, -(2**63) - 1), (arrays.Reals, 1e300), (arrays.Texts, "half \ud800")],
    ids=["a number too large", "a number too small", "a number beyond the range", "half a character"],
)
def test_what_a_type_cannot_hold_is_refused_as_postgres_would(kind: type[Array], value: object) -> None:
    with pytest.raises(Refused, match=kind.element):
        kind([value])
