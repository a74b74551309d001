"""The list of binaries: version, Go package and download address of each.

A change of version here changes the cache folder, so an old binary is never taken for a new one.
"""

import platform
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "v1.36.3"
ETCD_VERSION = "v3.6.14"

MODULES = Path(__file__).resolve().parent
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
SYSTEM = platform.system().lower()


@dataclass(frozen=True, slots=True)
class Asset:
    """One binary. `archive_member` is set when the release is an archive that holds the binary."""

    name: str
    version: str
    module: Path
    package: str
    ldflags: str
    url: str
    checksum_url: str
    archive_member: str | None = None


def _kubernetes(name: str) -> Asset:
    url = f"https://dl.k8s.io/release/{KUBERNETES_VERSION}/bin/{SYSTEM}/{ARCHITECTURE}/{name}"
    return Asset(
        name=name,
        version=KUBERNETES_VERSION,
        module=MODULES / "kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        ldflags=(
            f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}"
            f" -X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES_VERSION}"
        ),
        url=url,
        checksum_url=f"{url}.sha256",
    )


def _etcd() -> Asset:
    release = f"https://github.com/etcd-io/etcd/releases/download/{ETCD_VERSION}"
    folder = f"etcd-{ETCD_VERSION}-{SYSTEM}-{ARCHITECTURE}"
    return Asset(
        name="etcd",
        version=ETCD_VERSION,
        module=MODULES / "etcd",
        package="go.etcd.io/etcd/server/v3",
        ldflags="-s -w",
        url=f"{release}/{folder}.tar.gz",
        checksum_url=f"{release}/SHA256SUMS",
        archive_member=f"{folder}/etcd",
    )


CONTROL_PLANE = (
    _etcd(),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kubectl"),
)
