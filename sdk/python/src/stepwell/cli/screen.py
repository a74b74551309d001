"""What `stepwell dev` shows a person: little, and only what matters.

The children's logs go to files; here appear their warnings and errors (everything with --verbose), and what the
supervisor had to do. Colours only on a terminal.
"""

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

_LOGGED = re.compile(r"^\d\d:\d\d:\d\d (debug|info|warning|error|critical) ")
#: Times, numbers and ids.
_PARTICULARS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
_LATELY = 30.0
_SEVERE = ("warning", "error", "critical")
_COLOURS = {"postgres": "blue", "engine": "magenta", "web": "cyan", "manifests": "green", "app": "yellow"}


class Screen:
    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._shown: dict[str, float] = {}
        self._stopping = False

    def starting(self, folder: Path) -> None:
        first = not (folder / "postgres").exists()
        self._console.print("Stepwell is starting" + (" for the first time" if first else ""), style="dim")

    def up(self, address: str, folder: Path, *, files: Sequence[Path]) -> None:
        took = f"ready in {time.monotonic() - self._began:.1f} s"
        lines = [
            Text.assemble(("Stepwell", "bold"), f"  {took}"),
            Text.assemble("  Dashboard  ", (address, "bold cyan")),
            Text.assemble("  Apps       ", f"STEPWELL_URL={address.replace('localhost', '127.0.0.1')}"),
        ]
        if files:
            lines.append(Text.assemble("  Manifests  ", ", ".join(map(str, files)), ("  (followed)", "dim")))
        lines += [Text.assemble("  Data       ", str(folder)), Text("  Ctrl-C stops it; the data stays.", style="dim")]
        for line in lines:
            self._console.print(line)

    def say(self, text: str) -> None:
        self._console.print(Text(text, style="yellow"))

    def child(self, name: str, line: str) -> None:
        logged = _LOGGED.match(line)
        # What is said about manifests in so many words is meant for the person who wrote them.
        worth_showing = logged[1] in _SEVERE if logged else name == "manifests"
        if self._verbose or (worth_showing and name != "postgres" and not self._stopping and self._is_news(name, line)):
            self._console.print(Text.assemble((f"{name:<10}", _COLOURS.get(name, "")), line))

    def _is_news(self, name: str, line: str) -> bool:
        """Whether nothing like it was shown lately: an app that is away is one message, not one for each run."""
        kind = f"{name} {_PARTICULARS.sub('', line)}"
        now = time.monotonic()
        news = now - self._shown.get(kind, -_LATELY) >= _LATELY
        if news:
            self._shown[kind] = now
        return news

    def stopping(self) -> None:
        self._stopping = True
        self._console.print("Stopping (Ctrl-C again forces)", style="dim")

    def stopped(self) -> None:
        self._console.print("Stopped. The data stays.", style="dim")
