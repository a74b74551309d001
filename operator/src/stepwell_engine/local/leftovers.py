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


def clear(cluster: Path, *, keep: Path | None = None) -> bool:
    """Stop what still runs on `cluster`, remove its pid file and, unless it is `keep`, its socket folder. Returns
    whether a server was stopped. Raises LocalProblem if something survives even SIGKILL."""
    stopped = _stop_orphans(cluster)
    pid_file = cluster / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError):
        lines = pid_file.read_text(errors="replace").splitlines()
        sockets = Path(lines[4]) if len(lines) > 4 else None
        if sockets and sockets != keep and sockets.name.startswith(SOCKET_PREFIX):
            shutil.rmtree(sockets, ignore_errors=True)
        pid_file.unlink()
    return stopped


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
