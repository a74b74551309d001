# ruff: noqa: T201
"""A supervisor with two stand-in children, as a process of its own: what `stepwell dev` is, without what it serves.

Each child listens on a Unix socket and answers one byte. `broken` as second argument makes the second child end at
once.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from stepwell_engine.local.child import Child
from stepwell_engine.local.command import Command
from stepwell_engine.local.problems import LocalProblem
from stepwell_engine.local.supervisor import Supervisor

_SERVE = """
import os, signal, socket, sys
path, stubborn = sys.argv[1], sys.argv[2] == "stubborn"
signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else lambda *_: (print("bye"), sys.exit(0)))
server = socket.socket(socket.AF_UNIX)
if os.path.exists(path): os.unlink(path)
server.bind(path)
server.listen()
while True:
    connection, _ = server.accept()
    connection.sendall(b"!")
    connection.close()
"""
_BREAK = "import sys; print('first complaint'); print('no such luck'); sys.exit(3)"


def child(folder: Path, name: str, manner: str) -> Child:
    path = folder / f"{name}.socket"
    code = _BREAK if manner == "broken" else _SERVE

    def command() -> Command:
        return Command.leashed([sys.executable, "-c", code, str(path), manner], environment=dict(os.environ))

    async def healthy() -> bool:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(0.5):
                reader, writer = await asyncio.open_unix_connection(path)
                answer = await reader.read(1)
                writer.close()
                return answer == b"!"
        return False

    return Child(name, command, healthy, signal.SIGTERM, patience=60.0 if manner == "stubborn" else 5.0)


async def main(folder: Path, manner: str) -> None:
    children = [child(folder, "first", "plain"), child(folder, "second", manner)]
    supervisor = Supervisor(
        children,
        logs=folder / "logs",
        say=lambda text: print(text, flush=True),
        interrupted=lambda: print("stopping", flush=True),
    )
    await supervisor.run(when_up=lambda: print("up", supervisor.pids(), flush=True))
    print("stopped", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "plain"))
    except LocalProblem as problem:
        sys.exit(str(problem))
