"""What can go wrong with a request over HTTP, told apart by what the other side may have seen.

    HttpError
    ├─ RequestRefused      the request itself is wrong: bad address, bad header; nothing was tried
    ├─ NotSent             no byte of the request left this process: trying again is safe
    │  └─ ConnectFailed    no connection: refused, unresolved, certificate, connect timeout
    └─ OutcomeUnknown      the request may have been received and acted upon
       ├─ ResponseTimeout  no complete answer in time
       ├─ ConnectionLost   the connection ended before the answer did
       └─ ResponseInvalid  what came is not an HTTP answer
          └─ ResponseTooLarge

A kept-alive connection that the other side closes just as a request is written counts as `ConnectionLost`: nobody can
tell whether the request was read.
"""


class HttpError(Exception):
    """A request that got no usable answer."""


class RequestRefused(HttpError):
    """The request cannot be put into valid HTTP."""


class NotSent(HttpError):
    """Nothing was sent."""


class ConnectFailed(NotSent):
    """No connection to the address."""


class OutcomeUnknown(HttpError):
    """The request may have arrived."""


class ResponseTimeout(OutcomeUnknown):
    """No complete answer within the time allowed."""


class ConnectionLost(OutcomeUnknown):
    """The connection ended before the answer did."""


class ResponseInvalid(OutcomeUnknown):
    """The answer is not HTTP. `status` is set when it got as far as that."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ResponseTooLarge(ResponseInvalid):
    """The answer passes the size that the caller allowed."""
