"""A real `stepwell dev` as a child process: started, watched, killed in whole or in part."""

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from stepwell_engine.local import leftovers

from .process import Process, alive, wait_until

#: How each child is recognised by its command line.
ROLES = {
    "postgres": "/postgres",
    "engine": "stepwell_engine",
    "web": "stepwell.cli.web",
    "manifests": "stepwell_operator.files",
}


class Dev:
    """`stepwell dev` on a folder and a port of its own. `start` any number of times; a context manager ends it."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        files: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = ["--port", str(self.port), "--data-dir", str(folder)]
        self._arguments += [word for path in files for word in ("-f", str(path))]
        self._environment = {"STEPWELL_LOG_LEVEL": "warning", **(environment or {})}
        self.process: Process | None = None

    def start(self, *, wait: bool = True, timeout: float = 60) -> Process:
        self.process = Process(
            [sys.executable, "-m", "stepwell.cli", "dev", *self._arguments],
            environment=clean_environment(self._environment),
        )
        if wait:
            self.process.wait_for_line("Dashboard", timeout=timeout)
        return self.process

    def child(self, role: str) -> psutil.Process | None:
        """The living child of that role, if there is one right now."""
        assert self.process is not None
        try:
            children = psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return None
        for child in children:
            try:
                line = child.cmdline()
                if alive(child) and any(ROLES[role] in word for word in line[:3]):
                    return child
            except psutil.Error:
                continue
        return None

    def wait_for_child(self, role: str, *, timeout: float = 30) -> psutil.Process:
        wait_until(lambda: self.child(role) is not None, f"{role} runs", timeout=timeout)
        found = self.child(role)
        assert found is not None
        return found

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False

    def ready(self) -> bool:
        """The gateway answers, and so does Postgres."""
        try:
            with psycopg.connect(self.database_url(), connect_timeout=2) as connection:
                return self.healthy() and connection.execute("select 1").fetchone() == (1,)
        except (OSError, IndexError, psycopg.Error):
            return False

    def database_url(self) -> str:
        """Of the embedded Postgres that runs now: its socket's folder stands in the cluster's pid file."""
        lines = (self.folder / "postgres" / "18" / "postmaster.pid").read_text().splitlines()
        return f"postgresql://stepwell@/stepwell?host={lines[4]}"

    def get(self, path: str) -> Any:
        return get_json(f"{self.url}{path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.__exit__(None, None, None)
        leftovers.remove_sockets(self.folder / "postgres" / "sockets")


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """`extra`, and empty values for the settings that the caller's shell may hold."""
    ours = {name: "" for name in os.environ if name.startswith("STEPWELL_")}
    return {**ours, **extra}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())
