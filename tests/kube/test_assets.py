"""Where the control plane's binaries come from: the order of sources, and that a failure is loud."""

from pathlib import Path

import pytest

from kube.assets import chain
from kube.assets.catalog import CONTROL_PLANE, KUBERNETES_VERSION, Asset
from kube.assets.chain import AssetsUnavailable, ensure
from kube.assets.download import SourceFailed, download

KUBECTL = next(asset for asset in CONTROL_PLANE if asset.name == "kubectl")


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache and no given binaries; gives the cache's folder."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stepwell" / "kube" / KUBERNETES_VERSION


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def writes(asset: Asset, target: Path, **_: object) -> None:
    target.write_text("#!/bin/sh\n")


def fails(asset: Asset, target: Path, **_: object) -> None:
    target.write_text("half of it")
    raise SourceFailed("away")


def no_go(cache: Path, **_: object) -> Path:
    return Path("go")


def test_given_binaries_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bare_machine: Path) -> None:
    executable(bare_machine / "kubectl")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(executable(tmp_path / "given" / "kubectl").parent))
    found = ensure([KUBECTL], report=print)["kubectl"]
    assert (found.path, found.source) == (tmp_path / "given" / "kubectl", "KUBEBUILDER_ASSETS")


def test_the_cache_comes_second(bare_machine: Path) -> None:
    executable(bare_machine / "kubectl")
    assert ensure([KUBECTL], report=print)["kubectl"].path == bare_machine / "kubectl"


def test_a_download_comes_third_and_is_kept(monkeypatch: pytest.MonkeyPatch, bare_machine: Path) -> None:
    monkeypatch.setattr(chain, "download", writes)
    assert ensure([KUBECTL], report=print)["kubectl"].source == "download"
    monkeypatch.setattr(chain, "download", fails)
    assert ensure([KUBECTL], report=print)["kubectl"].source.startswith("cache")


def test_a_build_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "download", fails)
    monkeypatch.setattr(chain, "find_go", no_go)
    monkeypatch.setattr(chain, "build", writes)
    said: list[str] = []
    assert ensure([KUBECTL], report=said.append)["kubectl"].source == "build"
    assert any("download did not work: away" in line for line in said)


def test_without_any_source_it_fails_loudly_and_leaves_nothing_half_done(
    monkeypatch: pytest.MonkeyPatch, bare_machine: Path
) -> None:
    monkeypatch.setattr(chain, "download", fails)
    monkeypatch.setattr(chain, "find_go", no_go)
    monkeypatch.setattr(chain, "build", fails)
    with pytest.raises(AssetsUnavailable, match="KUBEBUILDER_ASSETS") as refused:
        ensure([KUBECTL], report=print)
    assert "download: away" in str(refused.value)
    assert "build: away" in str(refused.value)
    assert {path.name for path in bare_machine.iterdir()} == {".lock"}


def test_a_download_that_is_not_what_was_published_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_bytes(b"something else")
    (tmp_path / "kubectl.sha256").write_text("0" * 64)
    url = (tmp_path / "kubectl").as_uri()
    asset = Asset(
        name="kubectl",
        version="v0",
        module=tmp_path,
        package="p",
        ldflags="",
        url=url,
        checksum_url=f"{url}.sha256",
    )
    with pytest.raises(SourceFailed, match="checksum"):
        download(asset, tmp_path / "target", report=print)
    assert not (tmp_path / "target").exists()
