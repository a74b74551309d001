"""`python -m kube.assets`: bring the control plane's binaries to this machine and say where each came from."""

import sys

from kube.assets.chain import AssetsUnavailable, ensure


def main() -> int:
    try:
        found = ensure(report=lambda line: print(f"kube assets: {line}", file=sys.stderr, flush=True))
    except AssetsUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    for name, asset in found.items():
        print(f"{name}: {asset.path} ({asset.source})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
