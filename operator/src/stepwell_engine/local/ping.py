"""Does a Postgres on a Unix socket answer?

Speaks the first message of the wire protocol and reads the first byte of the answer, as libpq's PQping does: no client
library, no session kept. A server that is frozen or still recovering does not pass.
"""

import contextlib
import socket
import struct
from pathlib import Path

_STARTUP = b"".join(
    part.encode() + b"\0" for part in ("user", "stepwell", "database", "postgres", "application_name", "stepwell-ping")
)
_MESSAGE = struct.pack("!ii", 8 + len(_STARTUP) + 1, 196608) + _STARTUP + b"\0"


def answers(path: Path, *, timeout: float = 2.0) -> bool:
    """Whether a session could begin now. False on refusal, silence for `timeout` seconds, or no socket at all."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(_MESSAGE)
        if connection.recv(1) == b"R":
            connection.sendall(b"X\0\0\0\4")
            return True
    return False
