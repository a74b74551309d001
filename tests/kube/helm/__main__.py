"""`python -m kube.helm`: bring helm to this machine and say where it came from."""

import sys

from kube.assets.chain import AssetsUnavailable
from kube.helm import ensure_helm


def main() -> int:
    try:
        found = ensure_helm(report=lambda line: print(f"kube assets: {line}", file=sys.stderr, flush=True))
    except AssetsUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    print(f"helm: {found.path} ({found.source})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
