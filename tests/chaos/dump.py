"""What the database holds at the end of a chaos run, as a file for the checker."""

import json
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

_QUERIES = {
    "runs": """
        select id::text, name, status, activity, reason, event_id::text, convert_from(output, 'utf8') output,
               convert_from(error, 'utf8') error, extract(epoch from created_at)::float8 created_at
        from stepwell.run
    """,
    "journal": """
        select run_id::text, ordinal, entry, step, type, convert_from(data, 'utf8') data,
               convert_from(error, 'utf8') error, extract(epoch from committed_at)::float8 committed_at, token, seq
        from stepwell.journal
    """,
    "jobs": "select run_id::text, extract(epoch from lease_until)::float8 lease_until from stepwell.job",
    "waits": """
        select run_id::text, step, type, extract(epoch from due)::float8 due,
               extract(epoch from resolved_at)::float8 resolved_at
        from stepwell.wait
    """,
    "events": """
        select id::text, name, convert_from(data, 'utf8') data, extract(epoch from accepted_at)::float8 accepted_at
        from stepwell.event
    """,
}


def unfinished(database_url: str) -> int:
    """How many of the runs that events started have not ended."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "select count(*) from stepwell.run where status = 'active' and event_id is not null"
        ).fetchone()
    assert row is not None
    return int(row[0])


def driven(database_url: str) -> int:
    """How many runs an engine holds right now."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select count(*) from stepwell.job where lease_until > now()").fetchone()
    assert row is not None
    return int(row[0])


def dump(database_url: str, path: Path) -> None:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.execute("set transaction isolation level repeatable read")
        found: dict[str, Any] = {name: connection.execute(query).fetchall() for name, query in _QUERIES.items()}
        row = connection.execute("select extract(epoch from clock_timestamp())::float8 as now").fetchone()
    assert row is not None
    path.write_text(json.dumps({**found, **row}))
