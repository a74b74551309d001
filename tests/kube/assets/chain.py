"""The chain of sources: the first that has a binary wins, and the answer says which it was.

Holds an exclusive file lock while anything is fetched or built, so that parallel test runs wait for one another instead
of building twice. A file appears in the cache only by rename, complete and executable.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kube.assets.build import build, find_go
from kube.assets.catalog import CONTROL_PLANE, KUBERNETES_VERSION, Asset
from kube.assets.download import Report, SourceFailed, download


class AssetsUnavailable(Exception):
    """No source could bring a binary. The message lists every source and why it failed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A usable binary and the words for where it came from."""

    path: Path
    source: str


def cache_folder() -> Path:
    """The folder of this version's binaries; made if absent."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "stepwell" / "kube" / KUBERNETES_VERSION
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ensure(assets: Sequence[Asset] = CONTROL_PLANE, *, report: Report) -> dict[str, Found]:
    """Every asset by name, fetched or built where missing; raises AssetsUnavailable."""
    found: dict[str, Found] = {}
    for asset in assets:
        hit = _given(asset) or _cached(asset)
        if hit is None:
            with _lock(report=report):
                hit = _cached(asset) or _bring(asset, report=report)
        found[asset.name] = hit
    return found


def version_of(binary: Path) -> str:
    """What the binary says of itself, such as `v1.36.3`."""
    done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split()[-1] if done.stdout.split() else "unknown"


def _given(asset: Asset) -> Found | None:
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        return None
    path = Path(folder) / asset.name
    return Found(path, "KUBEBUILDER_ASSETS") if os.access(path, os.X_OK) else None


def _cached(asset: Asset) -> Found | None:
    path = cache_folder() / _file_name(asset)
    return Found(path, f"cache {path.parent}") if os.access(path, os.X_OK) else None


def _bring(asset: Asset, *, report: Report) -> Found:
    target = cache_folder() / _file_name(asset)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    failures: list[str] = []
    try:
        for source in ("download", "build"):
            try:
                report(f"{asset.name} {asset.version}: trying {source}")
                if source == "download":
                    download(asset, partial, report=report)
                else:
                    go = find_go(cache_folder().parent, report=report)
                    build(asset, partial, go=go, report=report)
            except SourceFailed as failure:
                report(f"{asset.name}: {source} did not work: {failure}")
                failures.append(f"{source}: {failure}")
                continue
            partial.chmod(0o755)
            partial.rename(target)
            return Found(target, source)
    finally:
        partial.unlink(missing_ok=True)
    raise AssetsUnavailable(
        f"{asset.name} {asset.version} is needed for the tests on a real API server and could not be had.\n  "
        + "\n  ".join([f"KUBEBUILDER_ASSETS and {target}: not there", *failures])
        + "\nGive a folder with the binaries in KUBEBUILDER_ASSETS, or make one of these sources reachable."
    )


def _file_name(asset: Asset) -> str:
    return asset.name if asset.version == KUBERNETES_VERSION else f"{asset.name}-{asset.version}"


@contextmanager
def _lock(*, report: Report) -> Iterator[None]:
    with (cache_folder() / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another process is bringing the Kubernetes binaries; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
