"""Apps for the engine to call: a real HTTP server that answers whatever the test says, and the two versions of the wire
written from their description alone. Nothing here is imported from Stepwell.

A handler of version 1 gets the call's JSON and answers one operation (a dict, or the raw bytes of one). One of version 2
answers a list of operations, or a `Reply` of its own making.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        parsed: Json = json.loads(self.body)
        return parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`raw` is written as it is, and the connection closed; `stream` follows the headers without a length."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    stream: Callable[[], AsyncIterator[bytes]] | None = None


Answering = Callable[[Received], Awaitable[Reply]]


class HttpApp:
    """A server on a port of its own. `received` holds the requests in order of arrival. `answer` may be changed at any time."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.url = ""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api/durable"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. False: the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Received(method, path, headers, body)
        self.received.append(request)
        reply = await self.answer(request)
        if reply.raw is not None:
            writer.write(reply.raw)
            await writer.drain()
            return False
        fields = dict(reply.headers)
        if reply.stream is None:
            fields["content-length"] = str(len(reply.body))
        told = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {reply.status} Whatever\r\n{told}\r\n".encode() + reply.body)
        await writer.drain()
        if reply.stream is None:
            return True
        async for chunk in reply.stream():
            writer.write(chunk)
            await writer.drain()
        return False


@asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[HttpApp]:
    app = HttpApp(answer)
    await app.listen()
    try:
        yield app
    finally:
        await app.close()


# Version 1


def sign(body: bytes, key: str) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def signed(body: bytes, key: str, *, status: int = 200) -> Reply:
    return Reply(status=status, body=body, headers={"x-durable-signature": sign(body, key)})


V1Handler = Callable[[Json], Json | bytes | Reply | Awaitable[Json | bytes | Reply]]


def version_1(key: str, **handlers: V1Handler) -> Answering:
    async def answer(request: Received) -> Reply:
        assert hmac.compare_digest(request.headers["x-durable-signature"], sign(request.body, key))
        call = request.json
        op = handlers[call["functionId"].replace("-", "_")](call)
        if isinstance(op, Awaitable):
            op = await op
        if isinstance(op, Reply):
            return op
        return signed(op if isinstance(op, bytes) else json.dumps(op).encode(), key)

    return answer


def step(id: str, data: object) -> Json:
    return {"op": "step", "id": id, "data": data}


def done(data: object = None) -> Json:
    return {"op": "done", "data": data}


def stepping(*names: str, output: object = "done") -> Callable[[Json], Json]:
    """A handler of both versions' first words: steps with the numbers of their executions as results, then the end."""
    numbers = itertools.count(1)

    def handler(call: Json) -> Json:
        for name in names:
            if name not in call["steps"]:
                return step(name, next(numbers))
        return done(output)

    return handler


# Version 2


def sign_timed(body: bytes, *keys: str, at: float | None = None) -> str:
    seconds = int(time.time() if at is None else at)
    digests = [hmac.new(key.encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest() for key in keys]
    return ",".join([f"t={seconds}", *(f"v1={digest}" for digest in digests)])


def verified(request: Received, key: str) -> bool:
    """A version-2 signature of this key over this body, no older than five minutes."""
    first, *rest = request.headers["stepwell-signature"].split(",")
    seconds = int(first.removeprefix("t="))
    expected = hmac.new(key.encode(), b"%d." % seconds + request.body, hashlib.sha256).hexdigest()
    return f"v1={expected}" in rest and abs(time.time() - seconds) < 300


def answer_to(call: Json, ops: Sequence[Json], key: str, *, token: int | None = None, seq: int | None = None) -> Reply:
    """The signed answer to a call, under its token and number unless others are given."""
    terms = call["call"]
    body = {
        "token": terms["token"] if token is None else token,
        "seq": terms["seq"] if seq is None else seq,
        "ops": list(ops),
        "time": int(time.time() * 1000),
    }
    raw = json.dumps(body).encode()
    return Reply(body=raw, headers={"stepwell-signature": sign_timed(raw, key)})


V2Handler = Callable[[Json], Sequence[Json] | Reply | Awaitable[Sequence[Json] | Reply]]


def version_2(key: str, **handlers: V2Handler) -> Answering:
    """Functions by their id; workflow handlers by theirs, answered with the data of their step."""

    async def answer(request: Received) -> Reply:
        assert request.headers["stepwell-protocol"] == "2"
        assert verified(request, key)
        call = request.json
        name = call["functionId"] if "functionId" in call else call["step"]["handler"]
        ops = handlers[name.replace("-", "_")](call)
        if isinstance(ops, Awaitable):
            ops = await ops
        return ops if isinstance(ops, Reply) else answer_to(call, ops, key)

    return answer


# Several calls in one request


def part(*answers: tuple[int, int, bytes], key: str) -> bytes:
    """One part of the answer to several calls, from (place, status, body)."""
    lines = b"".join(b"%d %d %b\n" % answer for answer in answers)
    return b"%b %d\n%b" % (sign_timed(lines, key).encode(), len(lines), lines)


def streamed(*parts: bytes | Awaitable[object]) -> Reply:
    """Parts one after the other, the next one when what stands before it has happened; then the end of the connection."""

    async def stream() -> AsyncIterator[bytes]:
        for each in parts:
            if isinstance(each, bytes):
                yield each
            else:
                await each

    return Reply(stream=stream)


def one_by_one(key: str, handler: V2Handler) -> Answering:
    """One handler for calls that come alone and for those that come together, which are answered in one part."""
    alone = version_2(key, work=handler)

    async def answer(request: Received) -> Reply:
        calls = json.loads(request.body)
        if not isinstance(calls, list):
            return await alone(request)
        assert request.headers["stepwell-protocol"] == "2"
        assert verified(request, key)
        bodies = []
        for call in calls:
            ops = handler(call)
            ops = await ops if isinstance(ops, Awaitable) else ops
            bodies.append(ops.body if isinstance(ops, Reply) else answer_to(call, ops, key).body)
        return Reply(body=part(*[(place, 200, body) for place, body in enumerate(bodies)], key=key))

    return answer
