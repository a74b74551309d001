"""The operator's world in `stepwell dev`: manifest files, read again when they change.

`await run(paths, settings=…)` reconciles until it is cancelled.
"""

from .run import run

__all__ = ["run"]
