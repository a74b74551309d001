"""What can't be started says why in one sentence, with exit code 1, and never with a traceback."""

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping

import psycopg
import pytest

from harness.dev import clean_environment
from harness.engine import DATA_KEY as DATA_KEY_TEXT
from harness.engine import EngineProcess
from integration.world import DATA_KEY, World
from stepwell_engine.errors import StepwellError
from stepwell_engine.journal import Journal
from stepwell_engine.journal.migrate import migrate, migrations
from stepwell_engine.sealing import Sealer

NOBODY = "postgresql://nobody@127.0.0.1:9/nothing"


def started(environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The process, once it has ended."""
    return subprocess.run(
        [sys.executable, "-m", "stepwell_engine", *(arguments or ("run",))],
        env={**os.environ, **clean_environment(environment)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(environment: Mapping[str, str], *arguments: str) -> str:
    """The one sentence with which the process refuses to start."""
    done = started(environment, *arguments)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("stepwell-engine: ")
    return line.removeprefix("stepwell-engine: ")


def given(database_url: str = NOBODY, **more: str) -> dict[str, str]:
    return {
        "STEPWELL_DATABASE_URL": database_url,
        "STEPWELL_DATA_KEY": DATA_KEY_TEXT,
        "STEPWELL_DEV": "1",
        "STEPWELL_PORT": "0",
        **more,
    }


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"STEPWELL_DATABASE_URL": ""}, "STEPWELL_DATABASE_URL is not set"),
        ({"STEPWELL_DATA_KEY": ""}, "STEPWELL_DATA_KEY is not set"),
        ({"STEPWELL_DATA_KEY": "not base64!"}, "STEPWELL_DATA_KEY is not base64: make one with `openssl rand"),
        ({"STEPWELL_DATA_KEY": "c2hvcnQ="}, "STEPWELL_DATA_KEY must be 32 bytes in base64, not 5"),
        ({"STEPWELL_HOST": "0.0.0.0"}, "STEPWELL_HOST: 0.0.0.0 is not loopback"),
        ({"STEPWELL_PORT": "http"}, "STEPWELL_PORT: 'http' is not a number from 0 to 65535"),
        ({"STEPWELL_LEASE_SECONDS": "0"}, "STEPWELL_LEASE_SECONDS: '0' is not a number from 1 to 3600"),
        ({"STEPWELL_MAX_RUNS": "1.5"}, "STEPWELL_MAX_RUNS: '1.5' is not a whole number"),
        ({"STEPWELL_LOG_LEVEL": "loud"}, "STEPWELL_LOG_LEVEL: 'loud' is none of debug, info"),
        ({"STEPWELL_DATABASE_URL": "no address at all"}, "STEPWELL_DATABASE_URL: is not an address of Postgres"),
    ],
    ids=lambda part: ",".join(part) if isinstance(part, dict) else None,
)
def test_a_setting_that_can_not_be_used_is_named_with_reason_and_fix(
    environment: dict[str, str], sentence: str
) -> None:
    assert sentence in refused(given(**environment))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://nobody:hush-hush@127.0.0.1:9/nothing", "Connection refused"),
        ("postgresql://nobody:hush-hush@127.0.0.1:nine/nothing", 'invalid integer value "nine"'),
        ("host=127.0.0.1 password=hush-hush and more", "is not an address of Postgres"),
    ],
)
async def test_a_database_that_can_not_be_reached_is_told_with_its_reason_and_without_secrets(
    url: str, reason: str
) -> None:
    with pytest.raises(StepwellError, match=reason) as refusal:
        await Journal.open(url, sealer=Sealer(DATA_KEY), timeout=0.2)
    assert "hush-hush" not in str(refusal.value)


def test_a_port_that_is_taken_is_named(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused(given(database_url, STEPWELL_PORT=str(port)))
    assert told.startswith(f"can't listen on 127.0.0.1:{port}: ")
    assert told.endswith("set STEPWELL_PORT to a free port")


def test_a_database_without_the_schema_says_how_to_make_it(empty_database_url: str) -> None:
    newest = migrations()[-1].number
    assert refused(given(empty_database_url)) == (
        f"the schema is at migration 0, this engine needs {newest}: run `stepwell-engine migrate` first"
    )


def test_a_newer_schema_is_refused_by_the_engine_and_by_the_migration(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("insert into stepwell.migration (number, name, checksum) values (9999, 'future', '')")
    for command in ("run", "migrate"):
        told = refused(given(database_url), command)
        assert told.startswith("the schema is at migration 9999, this release knows up to ")
        assert told.endswith("run a newer release")


def test_the_migration_needs_no_key(empty_database_url: str) -> None:
    environment = {name: value for name, value in given(empty_database_url).items() if name != "STEPWELL_DATA_KEY"}
    assert "STEPWELL_DATA_KEY is not set" in refused(environment, "run")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        assert connection.execute("select to_regclass('stepwell.migration')").fetchone() == (None,)
        done = started(environment, "migrate")
        assert (done.returncode, done.stdout.partition(":")[0]) == (0, "applied")
        assert connection.execute("select count(*) from stepwell.migration").fetchone() == (len(migrations()),)


async def test_another_data_key_than_the_one_that_sealed_is_refused(world: World, database_url: str) -> None:
    app = await world.app()
    another = base64.b64encode(bytes(32)).decode()
    told = await asyncio.to_thread(refused, given(database_url, STEPWELL_DATA_KEY=another))
    assert told == f"the signing keys of app {app.id} were sealed with another STEPWELL_DATA_KEY: start with that one"


def test_a_migration_that_was_edited_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update stepwell.migration set checksum = 'another' where number = 1")
    assert "migration 0001 initial was edited after it had been applied" in refused(given(database_url), "migrate")


async def test_migrating_from_several_places_at_once_applies_each_migration_once(empty_database_url: str) -> None:
    applied = await asyncio.gather(*[migrate(empty_database_url) for _ in range(4)])
    assert sum(len(names) for names in applied) == len(migrations())
    assert await migrate(empty_database_url) == []


def test_a_fresh_engine_says_where_it_listens_and_stops_when_asked(database_url: str) -> None:
    with EngineProcess(database_url) as engine:
        assert engine.url.startswith("http://127.0.0.1:")
        engine.send(signal.SIGTERM)
        assert engine.wait() == 0
    assert "Traceback" not in engine.output
