"""`python -m stepwell_operator.resources [--check] [FOLDER]`: write `crds/*.yaml`, or fail when a file differs."""

import argparse
import sys
from pathlib import Path

from .crd import KINDS, render


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stepwell_operator.resources", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("crds"), help="where the files are (default: crds)"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when a file is not what the models say"
    )
    arguments = parser.parse_args()
    wanted = {f"{kind.resource}.yaml": render(kind) for kind in KINDS}
    folder: Path = arguments.folder
    if arguments.check:
        stale = [name for name, text in wanted.items() if _read(folder / name) != text]
        stale += [path.name for path in folder.glob("*.yaml") if path.name not in wanted]
        for name in stale:
            print(f"{folder / name} is not what the models say: run `make generate`", file=sys.stderr)
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (folder / name).write_text(text)
    return 0


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
