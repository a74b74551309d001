"""Fixtures for every test, made in `harness`. A folder's own conftest.py adds what only that folder needs."""

from harness.database import (
    database_url,
    empty_database_url,
    empty_template,
    no_leaked_tasks,
    nothing_left_behind,
    template_database,
)
from harness.postgres import postgres_server

__all__ = [
    "database_url",
    "empty_database_url",
    "empty_template",
    "no_leaked_tasks",
    "nothing_left_behind",
    "postgres_server",
    "template_database",
]
