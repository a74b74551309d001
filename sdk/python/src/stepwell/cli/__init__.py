"""The command `stepwell`.

It comes with the optional extra `stepwell[dev]`; without it the command says so. Commands are thin: what they do lives
in the engine, the operator and the dashboard, which are imported only by the command that needs them. A problem that a
person can mend is one sentence on standard error and exit code 1, never a traceback.
"""

import sys


def main() -> None:
    try:
        from .commands import application
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("typer", "rich", "stepwell_engine"):
            raise
        print("stepwell: the command line is an extra: pip install 'stepwell[dev]'", file=sys.stderr)
        sys.exit(1)
    application()
