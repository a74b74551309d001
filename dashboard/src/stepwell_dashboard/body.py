"""A request's body, read up to a bound and only if it says that it is JSON (a form from another page can't say so)."""

from fastapi import Request

from stepwell_engine.errors import InvalidInput, TooLarge
from stepwell_protocol import limits

#: An event's data, and room for what stands around it.
MOST_BYTES = limits.EVENT_BYTES + 64 * 1024


async def read_body(request: Request) -> bytes:
    """Raises InvalidInput, or TooLarge as soon as the bound is passed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidInput(
            f"{kind or 'nothing'!r} is not what is read here: send application/json", field="content-type"
        )
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise TooLarge(f"the body is larger than {MOST_BYTES} bytes", field="body")
        parts.append(part)
    return b"".join(parts)
