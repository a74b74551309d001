"""The helm that the chart's tests run, brought like the control plane's binaries (kube.assets says how).

`python -m kube.helm` brings it ahead of the tests, with progress. When no source works, `AssetsUnavailable` says why.
"""

from pathlib import Path

from kube.assets.catalog import ARCHITECTURE, SYSTEM, Asset
from kube.assets.chain import Found, ensure
from kube.assets.download import Report

HELM_VERSION = "v3.20.0"
_KUBERNETES = ("1", "35")  # what this helm renders for when it asks no cluster: its own client's version
_MODULE = "helm.sh/helm/v3"
_ARCHIVE = f"helm-{HELM_VERSION}-{SYSTEM}-{ARCHITECTURE}.tar.gz"

HELM = Asset(
    name="helm",
    version=HELM_VERSION,
    module=Path(__file__).resolve().parent,
    package=f"{_MODULE}/cmd/helm",
    ldflags=" ".join(
        [
            f"-s -w -X {_MODULE}/internal/version.version={HELM_VERSION}",
            *(
                f"-X {_MODULE}/pkg/{package}.k8sVersion{part}={number}"
                for package in ("lint/rules", "chartutil")
                for part, number in zip(("Major", "Minor"), _KUBERNETES, strict=True)
            ),
        ]
    ),
    url=f"https://get.helm.sh/{_ARCHIVE}",
    checksum_url=f"https://get.helm.sh/{_ARCHIVE}.sha256sum",
    archive_member=f"{SYSTEM}-{ARCHITECTURE}/helm",
)


def ensure_helm(*, report: Report) -> Found:
    """A usable helm and where it came from; raises AssetsUnavailable."""
    return ensure((HELM,), report=report)[HELM.name]
