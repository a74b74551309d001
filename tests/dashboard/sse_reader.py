"""A client of server-sent events, as the HTML standard reads them: it keeps the last id of a message that came whole."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Message:
    event: str
    id: str | None
    data: Any


@asynccontextmanager
async def reading(
    client: httpx.AsyncClient, path: str, *, last_id: str | None = None
) -> AsyncIterator[AsyncIterator[Message]]:
    """Messages of a stream, pings left out. Leaving the block hangs up."""
    headers = {} if last_id is None else {"last-event-id": last_id}
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _messages(response)


async def _messages(response: httpx.Response) -> AsyncIterator[Message]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            found, fields = fields, {}
            if "data" in found and found.get("event") != "ping":
                yield Message(event=found["event"], id=found.get("id"), data=json.loads(found["data"]))
