"""An app without the SDK: version 1 of the wire by hand, on uvicorn. What the engine can do when the app costs next to nothing."""

import os
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
import uvicorn
from benchmarks.systems.stepwell import EVENT, FUNCTION
from benchmarks.witness import Teller

from stepwell_protocol import headers
from stepwell_protocol.signing import sign_v1

KEY = os.environ["STEPWELL_SIGNING_KEY"]
STARTED: dict[int, list[float]] = {}
TELLER = Teller()

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = b"{}" if scope["method"] == "GET" else _next_operation(orjson.loads(body))
    answer_headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(answer)),
        (headers.SIGNATURE_V1.encode(), sign_v1(answer, KEY).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": answer_headers})
    await send({"type": "http.response.body", "body": answer})


def _next_operation(call: Message) -> bytes:
    data, done = call["event"]["data"], len(call["steps"])
    if done < data["steps"]:
        STARTED.setdefault(data["number"], []).append(time.perf_counter())
        return b'{"op":"step","id":"s%d","data":{"ok":%d}}' % (done, done)
    TELLER.tell(data["number"], STARTED.pop(data["number"], []))
    return b'{"op":"done","data":null}'


def _sync(port: int) -> None:
    body = orjson.dumps(
        {"url": f"http://127.0.0.1:{port}/", "functions": [{"id": FUNCTION, "trigger": {"event": EVENT}}]}
    )
    signed = {headers.APP: os.environ["STEPWELL_APP_ID"], headers.SIGNATURE_V1: sign_v1(body, KEY)}
    request = urllib.request.Request(f"{os.environ['STEPWELL_URL']}/fn/sync", data=body, headers=signed)
    with urllib.request.urlopen(request, timeout=10):
        pass


def main(port: int) -> None:
    _sync(port)
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
