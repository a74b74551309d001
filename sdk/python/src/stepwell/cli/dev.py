"""`stepwell dev`: the whole of Stepwell on one machine, without a cluster and without Docker.

The process that a person starts supervises; it does no work itself. Its children:

    postgres     the embedded one, unless a database was given
    engine       `stepwell-engine run`: the worker, and the address where apps report their checkpoints
    web          one port on loopback: gateway and dashboard
    manifests    what a cluster's operator does, on the files given with -f

The data directory is locked, the port is kept: a second start says who holds them. Whatever is killed, the children go
with the supervisor and the supervisor mends the children; after a power cut the same command comes back by itself.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stepwell_engine.local.child import Child
from stepwell_engine.local.cluster import Cluster
from stepwell_engine.local.command import Command
from stepwell_engine.local.data import data_key, default_folder
from stepwell_engine.local.lock import DirectoryLock
from stepwell_engine.local.migration import migrated
from stepwell_engine.local.network import LOOPBACK, free_port, listen, open_to_connections, require_free, well
from stepwell_engine.local.problems import LocalProblem
from stepwell_engine.local.supervisor import Supervisor
from stepwell_engine.settings import Settings

from .screen import Screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    files: tuple[Path, ...] = ()
    port: int = 3030
    data_dir: Path | None = None
    database_url: str | None = None
    verbose: bool = False

    @classmethod
    def from_environment(cls, *, files: tuple[Path, ...] = ()) -> "Options":
        """As the command's flags are read from the environment. Raises LocalProblem naming the variable."""
        given = {name: value for name, value in os.environ.items() if value}
        port = given.get("STEPWELL_PORT", "3030")
        if not port.isdecimal() or int(port) > 65535:
            raise LocalProblem(f"STEPWELL_PORT: {port!r} is not a port: write a number from 0 to 65535")
        folder = given.get("STEPWELL_DATA_DIR")
        return cls(
            files=files,
            port=int(port),
            data_dir=Path(folder) if folder else None,
            database_url=given.get("STEPWELL_DATABASE_URL"),
        )


@dataclass(frozen=True, slots=True)
class Companion:
    """One more process to keep beside the stack: an app, a sender of events. It finds the engine by STEPWELL_URL.
    `port`: where it listens once it is ready; absent: it is ready at once."""

    name: str
    arguments: tuple[str, ...]
    port: int | None = None


def run(options: Options, *, companions: Sequence[Companion] = ()) -> None:
    """Returns after a clean stop. Raises LocalProblem: what is wrong and what to do."""
    for path in options.files:
        if not path.exists():
            raise LocalProblem(f"-f {path}: there is no such file or folder")
    if options.database_url and urlsplit(options.database_url).scheme not in ("postgresql", "postgres"):
        raise LocalProblem("--database-url must look like postgresql://user:password@host:5432/database")
    folder = (options.data_dir or default_folder()).expanduser().absolute()
    for companion in companions:
        if companion.port:
            require_free(companion.port, user=companion.name)
    screen = Screen(verbose=options.verbose)
    with DirectoryLock.acquire(folder) as lock, listen(options.port) as listener:
        port = int(listener.getsockname()[1])
        address = f"http://localhost:{port}"
        lock.note(pid=os.getpid(), address=address)
        stack = _Stack(options, lock, listener.fileno(), port, companions)
        stack.check_settings()
        screen.starting(folder)
        supervisor = Supervisor(
            stack.children(), logs=folder / "logs", say=screen.say, echo=screen.child, interrupted=screen.stopping
        )
        asyncio.run(supervisor.run(when_up=lambda: screen.up(address, folder, files=options.files)))
        screen.stopped()


class _Stack:
    """The children of this start."""

    def __init__(
        self, options: Options, lock: DirectoryLock, descriptor: int, port: int, companions: Sequence[Companion]
    ) -> None:
        self._options = options
        self._companions = companions
        self._descriptor = descriptor
        self._port = port
        self._engine_port = 0
        self._cluster = None if options.database_url else Cluster(lock)
        self._data_key = os.environ.get("STEPWELL_DATA_KEY") or data_key(lock)

    def check_settings(self) -> None:
        """Raises InvalidSetting here rather than in each child."""
        Settings.from_environment({**self._settings(self._port), "STEPWELL_DATABASE_URL": "postgresql://"})

    def children(self) -> list[Child]:
        found = []
        if self._cluster is not None:
            found.append(self._postgres(self._cluster))
        found.append(Child("engine", self._engine, lambda: well(self._engine_port)))
        found.append(Child("web", self._web, lambda: well(self._port)))
        found += [self._companion(companion) for companion in self._companions]
        if self._options.files:
            found.append(Child("manifests", self._manifests, _always))
        return found

    def _postgres(self, cluster: Cluster) -> Child:
        def command() -> Command:
            cluster.prepare()
            return cluster.command()

        async def healthy() -> bool:
            return await asyncio.to_thread(cluster.answers)

        return Child("postgres", command, healthy, stop_signal=cluster.stop_signal, close=cluster.close)

    def _engine(self) -> Command:
        migrated(self._database_url())
        self._engine_port = free_port()
        return Command.python("stepwell_engine", "run", environment=self._environment(self._engine_port))

    def _web(self) -> Command:
        return Command.python(
            "stepwell.cli.web",
            str(self._descriptor),
            environment=self._environment(self._port),
            descriptors=(self._descriptor,),
        )

    def _manifests(self) -> Command:
        return Command.python(
            "stepwell_operator.files",
            *(str(path.absolute()) for path in self._options.files),
            environment=self._environment(self._port),
        )

    def _companion(self, companion: Companion) -> Child:
        def command() -> Command:
            environment = {**os.environ, "PYTHONUNBUFFERED": "1", "STEPWELL_URL": f"http://{LOOPBACK}:{self._port}"}
            return Command.leashed(companion.arguments, environment=environment)

        async def healthy() -> bool:
            return companion.port is None or await open_to_connections(companion.port)

        return Child(companion.name, command, healthy)

    def _database_url(self) -> str:
        if self._options.database_url:
            return self._options.database_url
        assert self._cluster is not None
        return self._cluster.url()

    def _environment(self, port: int) -> dict[str, str]:
        return {**self._settings(port), "STEPWELL_DATABASE_URL": self._database_url(), "PYTHONUNBUFFERED": "1"}

    def _settings(self, port: int) -> dict[str, str]:
        return {
            "STEPWELL_LOG_FORMAT": "text",
            **os.environ,
            "STEPWELL_DATA_KEY": self._data_key,
            "STEPWELL_DEV": "1",
            "STEPWELL_HOST": LOOPBACK,
            "STEPWELL_PORT": str(port),
        }


async def _always() -> bool:
    return True
