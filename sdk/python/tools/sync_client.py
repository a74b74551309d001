# ruff: noqa: INP001, S603
"""Writes `stepwell/sync_client.py`, the plain face of the async client, from `stepwell/client.py`.

Each public coroutine method of `Client` becomes a method of the same name, arguments and documentation that runs it in
a background event loop.

    python sdk/python/tools/sync_client.py            # write it
    python sdk/python/tools/sync_client.py --check    # fail if it differs
    python sdk/python/tools/sync_client.py --print    # for `make generate`
"""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "stepwell"
SOURCE = PACKAGE / "client.py"
TARGET = PACKAGE / "sync_client.py"

HEAD = '''"""The plain face of `Client`: the same methods, for code without an event loop. Generated from `stepwell.client` by
`sdk/python/tools/sync_client.py`; change it there.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from stepwell.background import BackgroundLoop
from stepwell.client import Client, NewEvent, RunState, StartedRun
from stepwell.settings import Connection
from stepwell_protocol.wire import SentEvent


class SyncClient:
    """Talks to the engine as one app, from plain code. Safe to use from several threads."""

    def __init__(
        self,
        *,
        url: str | None = None,
        app_id: str | None = None,
        signing_key: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Make a client. What is not given comes from STEPWELL_URL, STEPWELL_APP_ID and STEPWELL_SIGNING_KEY."""
        self._client = Client(url=url, app_id=app_id, signing_key=signing_key, timeout=timeout)
        self._background = BackgroundLoop()

    def close(self) -> None:
        """Close the connections and stop the background loop."""
        self._background.run(self._client.close())
        self._background.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
'''
BY_HAND = frozenset({"close"})


def generate() -> str:
    """The module's text."""
    tree = ast.parse(SOURCE.read_text())
    client = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Client")
    methods = [
        _method(node)
        for node in client.body
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_") and node.name not in BY_HAND
    ]
    return "\n".join([HEAD, *methods])


def _method(node: ast.AsyncFunctionDef) -> str:
    given = [each.arg for each in node.args.args[1:]] + [f"{each.arg}={each.arg}" for each in node.args.kwonlyargs]
    call = f"return self._background.run(self._client.{node.name}({', '.join(given)}))"
    doc = ast.get_docstring(node, clean=False)
    lines = [
        f"    def {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns) if node.returns else 'None'}:",
        f'        """{doc}"""',
        f"        {call}",
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write or check; the exit status."""
    text = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"],
        input=generate(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "--print" in arguments:
        sys.stdout.write(text)
        return 0
    if "--check" not in arguments:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    sys.stderr.write(f"{TARGET.name} differs from what client.py gives: run sdk/python/tools/sync_client.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
