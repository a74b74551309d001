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

_CANNOT_CONNECT_NOW = b"57P03"


def answers(path: Path, *, timeout: float = 2.0) -> bool:
    """Whether a session could begin now, or would but for lack of room. False on refusal, silence for `timeout`
    seconds, a server that is starting or stopping, or no socket at all."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(_MESSAGE)
        answer = connection.recv(1024)
        if answer[:1] == b"R":
            connection.sendall(b"X\0\0\0\4")
            return True
        return answer[:1] == b"E" and _CANNOT_CONNECT_NOW not in answer
    return False
