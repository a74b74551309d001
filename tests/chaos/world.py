"""The processes of a chaos run: `stepwell dev`, the version-1 app, the client. All real, each in its own family."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.dev import ROLES, Dev, free_port
from harness.process import Process

_HERE = Path(__file__).parent

#: So that the reconciler of manifests is there to be killed too.
_BYSTANDER = """
apiVersion: stepwell.dev/v1alpha1
kind: StepwellApp
metadata: {name: bystander}
spec:
  callback: {url: "http://127.0.0.1:9/nobody"}
  discovery: Manual
"""


class World:
    """Started by `with`; `finish` ends the load in order. What they wrote is in `folder`."""

    def __init__(self, folder: Path, *, rate: float, seed: int, environment: Mapping[str, str]) -> None:
        self.folder = folder
        manifests = folder / "manifests.yaml"
        manifests.write_text(_BYSTANDER)
        self.dev = Dev(folder / "data", files=[manifests], environment=environment)
        self._rate, self._seed = rate, seed
        self._app_port = free_port()
        self._app: Process | None = None
        self._load: Process | None = None
        self._ended: list[Process] = []

    @property
    def process(self) -> Process:
        """The supervisor's."""
        assert self.dev.process is not None
        return self.dev.process

    def start_stack(self) -> None:
        if self.dev.process is not None:
            self._ended.append(self.dev.process)
        self.dev.start()

    def start_app(self) -> None:
        arguments = ["--port", str(self._app_port), "--engine", self.dev.url, "--state", self._path("app.json")]
        self._app = Process(
            [sys.executable, str(_HERE / "v1_app.py"), *arguments, "--witness", self._path("witness.jsonl")]
        )
        self._app.wait_for_line("ready")

    def kill_app(self) -> None:
        assert self._app is not None
        self._app.send(signal.SIGKILL)
        self._app.wait()
        self._ended.append(self._app)

    def well(self) -> bool:
        """Everything runs and answers."""
        return self.process.running and all(self.dev.child(role) for role in ROLES) and self.dev.ready()

    def finish(self) -> None:
        """No new events; returns when the client has the answer to each that it sent."""
        assert self._load is not None
        self._load.send(signal.SIGTERM)
        self._load.wait(timeout=90)

    def __enter__(self) -> Self:
        self.start_stack()
        self.start_app()
        arguments = [
            "--engine",
            self.dev.url,
            "--state",
            self._path("app.json"),
            "--ledger",
            self._path("ledger.jsonl"),
        ]
        pace = ["--rate", str(self._rate), "--seed", str(self._seed)]
        self._load = Process([sys.executable, str(_HERE / "v1_load.py"), *arguments, *pace])
        self._load.wait_for_line("sending")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._load, self._app, self.dev.process, *self._ended):
            if process is not None:
                process.__exit__(None, None, None)

    def _path(self, name: str) -> str:
        return str(self.folder / name)
