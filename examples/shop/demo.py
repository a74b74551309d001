"""What `make demo` runs: `stepwell dev` with the manifests of this folder's parent, the shop and its customers beside it.

Every setting of `stepwell dev` is heeded (STEPWELL_PORT, STEPWELL_DATA_DIR, STEPWELL_DATABASE_URL). Ctrl-C stops all of it;
the data stays for the next time.
"""

import sys
from pathlib import Path

from app import PORT
from stepwell.cli.dev import Companion, Options, run
from stepwell_engine.errors import StepwellError

HERE = Path(__file__).resolve().parent


def main() -> int:
    try:
        run(
            Options.from_environment(files=(HERE.parent,)),
            companions=[
                Companion("shop", (sys.executable, str(HERE / "app.py")), port=PORT),
                Companion("customers", (sys.executable, str(HERE / "trickle.py"))),
            ],
        )
    except StepwellError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
