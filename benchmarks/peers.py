"""The other systems: where they are, and how they get there.

They live in `${XDG_CACHE_HOME:-~/.cache}/stepwell/peers`, outside of the project's environment, because they pin things of
their own. What is not installed is not measured.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

PYTHON_PEERS = ("dbos", "granian", "orjson", "psycopg[binary]", "restate-sdk", "uvloop")
RESTATE = "@restatedev/restate-server"


class PeerProblem(Exception):
    """A peer can't be installed."""


def folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "stepwell" / "peers"


def python() -> Path:
    return folder() / "python" / "bin" / "python"


def restate_server() -> Path | None:
    """The server's binary, which the npm package carries for each platform."""
    if not python().exists():
        return None
    found = sorted((folder() / "node_modules" / "@restatedev").glob("restate-server-*/bin/restate-server"))
    return found[0] if found else None


def version(distribution: str) -> str:
    """Which one of a Python package is installed there; empty when it is not."""
    found = importlib.metadata.distributions(name=distribution, path=[str(site) for site in _site_packages()])
    return next((each.version for each in found), "")


def restate_version() -> str:
    """The server's."""
    package = folder() / "node_modules" / RESTATE / "package.json"
    return str(json.loads(package.read_text())["version"])


def _site_packages() -> list[Path]:
    return sorted((folder() / "python" / "lib").glob("python*/site-packages"))


def install(*, say: Callable[[str], None]) -> None:
    """Install what is missing. Raises PeerProblem."""
    folder().mkdir(parents=True, exist_ok=True)
    if not (folder() / "python.done").exists():
        say(f"installing {', '.join(PYTHON_PEERS)} into {folder()}")
        venv.create(folder() / "python", with_pip=True)
        _run(str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON_PEERS)
        (folder() / "python.done").touch()
    if restate_server() is None:
        npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
        if npm is None:
            raise PeerProblem("Restate's server comes as an npm package, and there is no npm here: install Node first")
        say(f"installing {RESTATE} into {folder()}")
        _run(npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder()), RESTATE)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerProblem(f"{' '.join(command[:4])} … failed: {(done.stderr or done.stdout).strip()[-500:]}")
