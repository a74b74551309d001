"""Named crash points.

A failpoint is a place where the order of two effects matters: `failpoint("before_commit")`. It does nothing unless the
process was started with `STEPWELL_FAILPOINT=before_commit:kill`, as the process tests do; then the process dies there
as by a power cut (`kill`), or stops until it gets SIGCONT (`stop`). `name:action:n` acts at the n-th passage only.

Names: after_claim, before_call, after_answer, before_commit, after_commit, after_accept, before_status.
"""

import os
import signal

_armed: dict[str, tuple[str, int]] = {}
_passed: dict[str, int] = {}


def arm(spec: str) -> None:
    """Arm from `name:action[:n]`, several separated by commas. Raises ValueError on anything else."""
    for part in filter(None, spec.split(",")):
        name, action, *rest = part.split(":")
        if action not in ("kill", "stop") or len(rest) > 1:
            raise ValueError(f"STEPWELL_FAILPOINT: {part!r} is not name:kill|stop[:n]")
        _armed[name] = (action, int(rest[0]) if rest else 1)


def failpoint(name: str) -> None:
    if not _armed:
        return
    action, nth = _armed.get(name, ("", 0))
    if not action:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == nth:
        os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


arm(os.environ.get("STEPWELL_FAILPOINT", ""))
