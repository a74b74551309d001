"""Ports on loopback: to listen on, to hand to a child, to ask whether somebody is well."""

import asyncio
import contextlib
import errno
import socket

from .problems import AlreadyRunning, LocalProblem

LOOPBACK = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A listening socket on loopback, kept by the supervisor for as long as it lives, so that neither a stranger nor a
    second start can take the port while a child is being replaced. Raises AlreadyRunning when it is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(
                f"port {port} is already in use, by another `stepwell dev` or another program: "
                "stop that one, or choose another port with --port"
            ) from None
        raise LocalProblem(f"can't listen on port {port} ({error.strerror}): choose another with --port") from error
    return listener


def require_free(port: int, *, user: str) -> None:
    """Raises AlreadyRunning when somebody listens where `user` is going to."""
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise AlreadyRunning(f"port {port}, where {user} is to listen, is already in use: stop what listens there")


def free_port() -> int:
    """A port that was free a moment ago; whoever loses the race for it fails to start and is given another."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


async def open_to_connections(port: int, *, timeout: float = 2.0) -> bool:
    """Whether somebody on loopback accepts connections."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.transport.abort()
            return True
    return False


async def well(port: int, *, path: str = "/healthz", timeout: float = 2.0) -> bool:
    """Whether `GET path` on loopback is answered with 200 in time."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nhost: {LOOPBACK}\r\nconnection: close\r\n\r\n".encode())
                status = await reader.readline()
                return status.split(b" ")[1:2] == [b"200"]
            finally:
                writer.transport.abort()
    return False
