"""How engine and apps serve, where answers are small and many."""

import asyncio
import gc
from typing import Any, Final, cast

_HEAD: Final = b"HTTP/1.1 "
_GO_ON: Final = b"HTTP/1.1 100"
_YOUNG_OBJECTS: Final = 10_000


class OneWrite(asyncio.Protocol):
    """Mixed in before uvicorn's `HttpToolsProtocol`: holds each answer's head back until its body comes.

    uvicorn writes them one after the other, which costs the server a second system call and wakes the client twice.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._together = _Together(cast("asyncio.Transport", transport))
        super().connection_made(cast("asyncio.Transport", self._together))

    def on_response_complete(self) -> None:
        """Whatever the answer had for a body, it has been written."""
        self._together.flush()
        super().on_response_complete()  # type: ignore[misc]


class _Together:
    """The transport underneath, except that a head waits for the write that follows it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        elif data.startswith(_HEAD) and not data.startswith(_GO_ON):
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


def settle_memory() -> None:
    """To be called once all is loaded: takes it out of the garbage collector's sight, and lets that look less often.

    Calls leave hardly any cycles behind; walking over all modules again and again takes time from every one of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
