"""Every setting, in one place.

Settings come from the environment, each name once below with its meaning; `stepwell dev` takes some of them as flags too. A
value that can't be used stops the process at once with a sentence that names the variable, the reason and the fix. Without a
database address, or without a data key to seal signing keys with, nothing starts.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from .errors import StepwellError
from .sealing import Sealer


class InvalidSetting(StepwellError):
    code = "InvalidSetting"


#: Every variable that any process of Stepwell reads, with what it means. The docs' table is made from it.
VARIABLES: dict[str, str] = {
    "STEPWELL_DATABASE_URL": "Postgres: postgresql://user:password@host:port/database. `stepwell dev`: absent is an embedded one.",
    "STEPWELL_DATA_KEY": "32 bytes in base64 that seal signing keys in Postgres. The same for engine, operator and dashboard.",
    "STEPWELL_ADMIN_TOKEN": "Token for the dashboard and for registering apps. Absent: only allowed in dev mode, on loopback.",
    "STEPWELL_HOST": "Address to listen on; default 0.0.0.0 (dev: 127.0.0.1).",
    "STEPWELL_PORT": "Port to listen on; default 8080 (dev and dashboard: 3030).",
    "STEPWELL_DEV": "1: development mode. Loopback only, no admin token needed.",
    "STEPWELL_DATA_DIR": "`stepwell dev`: where the embedded Postgres and the data key live.",
    "STEPWELL_LEASE_SECONDS": "Length of a lease; default 30. A dead worker's runs go on after at most this long.",
    "STEPWELL_MAX_RUNS": "Runs one worker drives at a time; default 256.",
    "STEPWELL_DRAIN_SECONDS": "How long a stopping worker waits for calls under way; default 25.",
    "STEPWELL_POOL_SIZE": "Connections of one process to Postgres, besides seven for leases, results, hints; default 8.",
    "STEPWELL_CHECKPOINT_URL": "Where apps reach this very worker (http://$(POD_IP):8080/fn/checkpoint); absent: no checkpointing.",
    "STEPWELL_LOG_LEVEL": "debug, info, warning or error; default info.",
    "STEPWELL_LOG_FORMAT": "json or text; default json (dev: text).",
    "STEPWELL_WATCH_NAMESPACES": "Operator: namespaces to work in, separated by commas; absent: all of them.",
    "STEPWELL_RESYNC_SECONDS": "Operator: pause between two full list-and-compare passes; default 60.",
    "STEPWELL_GATEWAY_URL": "Operator: where apps reach the gateway, shown in status.address.url; absent: not shown.",
    "STEPWELL_NAMESPACE": "Operator: where its Lease is kept; default: its own namespace.",
    "STEPWELL_FAILPOINT": "Tests only: crash points, see failpoints.",
    "STEPWELL_URL": "SDK: the address of the engine's gateway.",
    "STEPWELL_APP_ID": "SDK: the id of this app.",
    "STEPWELL_SIGNING_KEY": "SDK: the app's signing key.",
    "STEPWELL_SIGNING_KEY_PREVIOUS": "SDK: the key before it, still accepted while keys are rotated.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationSettings:
    """All that bringing the schema up to date needs; no key."""

    database_url: str = field(repr=False)
    log_level: str = "info"
    log_format: str = "json"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "MigrationSettings":
        """Read and check. Raises InvalidSetting naming the variable."""
        given = _given(environment)
        form = "text" if _in_dev_mode(given) else "json"
        return cls(
            database_url=_required(given, "STEPWELL_DATABASE_URL"),
            log_level=_choice(given, "STEPWELL_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
            log_format=_choice(given, "STEPWELL_LOG_FORMAT", form, ("json", "text")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    database_url: str = field(repr=False)
    sealer: Sealer = field(repr=False)
    admin_token: str | None = field(default=None, repr=False)
    host: str = "0.0.0.0"  # noqa: S104 - pods listen on their address; dev mode overrides it
    port: int = 8080
    dev: bool = False
    lease: timedelta = timedelta(seconds=30)
    max_runs: int = 256
    drain: timedelta = timedelta(seconds=25)
    pool_size: int = 8
    checkpoint_url: str | None = None
    log_level: str = "info"
    log_format: str = "json"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, *, port: int = 8080) -> "Settings":
        """Read and check. Raises InvalidSetting (or BadDataKey) naming the variable."""
        given = _given(environment)
        dev = _in_dev_mode(given)
        basics = MigrationSettings.from_environment(given)
        settings = cls(
            database_url=basics.database_url,
            log_level=basics.log_level,
            log_format=basics.log_format,
            sealer=Sealer.from_base64(_required(given, "STEPWELL_DATA_KEY")),
            admin_token=given.get("STEPWELL_ADMIN_TOKEN"),
            host=given.get("STEPWELL_HOST", "127.0.0.1" if dev else "0.0.0.0"),  # noqa: S104
            port=_integer(given, "STEPWELL_PORT", port, least=0, most=65535),
            dev=dev,
            lease=timedelta(seconds=_number(given, "STEPWELL_LEASE_SECONDS", 30, least=1, most=3600)),
            max_runs=_integer(given, "STEPWELL_MAX_RUNS", 256, least=1, most=100_000),
            drain=timedelta(seconds=_number(given, "STEPWELL_DRAIN_SECONDS", 25, least=0, most=3600)),
            pool_size=_integer(given, "STEPWELL_POOL_SIZE", 8, least=2, most=1000),
            checkpoint_url=given.get("STEPWELL_CHECKPOINT_URL"),
        )
        if dev and settings.host not in ("127.0.0.1", "::1", "localhost"):
            raise InvalidSetting(
                f"STEPWELL_HOST: {settings.host} is not loopback, and STEPWELL_DEV=1 is for loopback only: unset one of them"
            )
        return settings


def _given(environment: Mapping[str, str] | None) -> dict[str, str]:
    return {k: v for k, v in (os.environ if environment is None else environment).items() if v != ""}


def _in_dev_mode(given: Mapping[str, str]) -> bool:
    return given.get("STEPWELL_DEV") == "1"


def _required(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise InvalidSetting(f"{name} is not set: {VARIABLES[name]}")
    return given[name]


def _number(given: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> float:
    try:
        value = float(given.get(name, default))
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise InvalidSetting(f"{name}: {given[name]!r} is not a number from {least:g} to {most:g}: {VARIABLES[name]}")
    return value


def _integer(given: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    value = _number(given, name, default, least=least, most=most)
    if value != int(value):
        raise InvalidSetting(f"{name}: {given[name]!r} is not a whole number: {VARIABLES[name]}")
    return int(value)


def _choice(given: Mapping[str, str], name: str, default: str, among: tuple[str, ...]) -> str:
    value = given.get(name, default).lower()
    if value not in among:
        raise InvalidSetting(f"{name}: {given[name]!r} is none of {', '.join(among)}")
    return value
