"""What a killed or powered-off start left behind in a cluster's folder.

Called only by the holder of the directory's lock, so any server still found on the cluster is an orphan: its parent
was killed. It is recognised by its working directory, which Postgres sets to the cluster, never by a number in a file:
after a power cut the pid in `postmaster.pid` may belong to a stranger, which must neither be signalled nor believed.
Orphans are shut down cleanly, then with force. After that the pid file is removed, also where Postgres itself would
refuse to (pid reused by a process of the same user, or an orphan that nobody reaps).
"""

import contextlib
import shutil
import signal
import time
from pathlib import Path

import psutil

from .problems import LocalProblem

SOCKET_PREFIX = "stepwell-pg-"

#: Fast shutdown, then immediate, then force; each with its patience in seconds.
_INSISTENCE = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))


def clear(cluster: Path) -> bool:
    """Stop what still runs on `cluster` and remove its pid file. Returns whether a server was stopped.
    Raises LocalProblem if something survives even SIGKILL."""
    stopped = _stop_orphans(cluster)
    (cluster / "postmaster.pid").unlink(missing_ok=True)
    return stopped


def remove_sockets(note: Path) -> None:
    """Remove the socket folder that an earlier start noted in the file `note` and had no time to remove."""
    with contextlib.suppress(OSError):
        folder = Path(note.read_text())
        if folder.name.startswith(SOCKET_PREFIX) and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        note.unlink()


def servers_on(cluster: Path) -> list[psutil.Process]:
    """The living Postgres processes whose working directory is `cluster`, the postmaster first."""
    try:
        here = cluster.stat()
    except FileNotFoundError:
        return []
    found = []
    for process in psutil.process_iter(["name"]):
        if not (process.info["name"] or "").startswith("postgres"):
            continue
        with contextlib.suppress(psutil.Error, OSError):
            there = Path(process.cwd()).stat()
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    pids = {process.pid for process in found}
    return sorted(found, key=lambda process: _parent(process) in pids)


def _stop_orphans(cluster: Path) -> bool:
    servers = servers_on(cluster)
    if not servers:
        return False
    for sign, patience in _INSISTENCE:
        # A postmaster ends its children. Without one they notice and end by themselves, unless they are frozen.
        for process in servers if sign == signal.SIGKILL else filter(_is_postmaster, servers):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(sign)
                process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + patience
        while servers and time.monotonic() < deadline:
            time.sleep(0.05)
            servers = servers_on(cluster)
        if not servers:
            return True
    pids = ", ".join(str(process.pid) for process in servers)
    raise LocalProblem(f"PostgreSQL left over on {cluster} (process {pids}) can't be stopped: end it, then start again")


def _is_postmaster(process: psutil.Process) -> bool:
    """Children replace their command line by a title."""
    try:
        return "-D" in process.cmdline()
    except psutil.Error:
        return False


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0
