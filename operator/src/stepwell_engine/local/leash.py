"""Run a command on a leash: it dies when its parent does.

A script of its own, started as `python -I -S leash.py <parent> <signal> <uid:gid|-> command…`, so that the steps
between fork and exec run in a single-threaded process instead of in a copy of a threaded one. It takes the
unprivileged uid if one is given, asks the kernel for `signal` at the parent's death (Linux; elsewhere the next start
finds the orphan), checks that the parent didn't die in between, and becomes the command. It imports nothing of
Stepwell and costs about 15 ms.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, death_signal: str, account: str, *command: str) -> None:
    if account != "-":
        uid, gid = map(int, account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid: a change of credentials clears it. It survives the exec.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(0)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"{command[0]} can't be executed: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
