"""The HTTP client against a raw socket that behaves, misbehaves and lies."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from stepwell_protocol.client import HttpClient
from stepwell_protocol.http_errors import (
    ConnectFailed,
    ConnectionLost,
    NotSent,
    OutcomeUnknown,
    RequestRefused,
    ResponseInvalid,
    ResponseTimeout,
    ResponseTooLarge,
)

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A listening socket; each connection is handed to `talk`."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.connections = 0
        self.requests: list[bytes] = []
        self.heard = asyncio.Condition()
        self.ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            self.ended.set()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        whole = head + await reader.readexactly(length)
        async with self.heard:
            self.requests.append(whole)
            self.heard.notify_all()
        return whole

    async def has_heard(self, count: int) -> None:
        async with asyncio.timeout(5), self.heard:
            await self.heard.wait_for(lambda: len(self.requests) >= count)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(
    talk: Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[Server, str]]:
    server = Server(lambda reader, writer: talk(server, reader, writer))
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    try:
        yield server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/api?x=1"
    finally:
        await server.stop()
        listening.close()
        await listening.wait_closed()


def answering(
    *answers: bytes, then_close: bool = False
) -> Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.request(reader)
            for answer in answers:
                writer.write(answer)
            await writer.drain()
            if then_close:
                writer.close()
                await writer.wait_closed()
                return

    return talk


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with HttpClient(timeout=5) as client:
        yield client


async def test_a_request_is_written_whole_and_its_answer_read(client: HttpClient) -> None:
    answer = b"HTTP/1.1 409 Conflict\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nno!"
    async with serving(answering(answer)) as (server, url):
        response = await client.request("POST", url, headers={"x-b": "3"}, body=b"hello")
    host = url.split("/")[2].encode()
    assert server.requests == [
        b"POST /api?x=1 HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\nx-b: 3\r\ncontent-length: 5\r\n\r\nhello"
        % host
    ]
    assert (response.status, response.body, response.header("x-a"), response.header("x-c")) == (
        409,
        b"no!",
        "1, 2",
        None,
    )


async def test_a_connection_is_used_again(client: HttpClient) -> None:
    async with serving(answering(OK)) as (server, url):
        for _ in range(5):
            assert (await client.request("POST", url)).body == b"ok"
        assert server.connections == 1


async def test_a_chunked_answer_is_put_together(client: HttpClient) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nx-trailer: 1\r\n\r\n"
    )
    async with serving(answering(*(answer[at : at + 1] for at in range(len(answer))))) as (server, url):
        assert (await client.request("POST", url)).body == b"abcde"
        assert (await client.request("POST", url)).body == b"abcde"
        assert server.connections == 1


async def test_informational_answers_are_skipped(client: HttpClient) -> None:
    async with serving(answering(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nx-a: 1\r\n\r\n", OK)) as (
        _,
        url,
    ):
        response = await client.request("POST", url)
    assert (response.status, response.body, response.header("x-a")) == (200, b"ok", None)


async def test_a_body_without_length_ends_with_the_connection(client: HttpClient) -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\nall of it", then_close=True)) as (_, url):
        assert (await client.request("POST", url)).body == b"all of it"


async def test_the_other_sides_wish_to_close_is_heeded(client: HttpClient) -> None:
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    async with serving(answering(answer)) as (server, url):
        await client.request("POST", url)
        await client.request("POST", url)
        assert server.connections == 2


async def test_an_idle_connection_is_left_before_the_other_side_leaves(client: HttpClient) -> None:
    answer = b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=1, max=100\r\ncontent-length: 2\r\n\r\nok"
    async with serving(answering(answer)) as (server, url):
        await client.request("POST", url)
        await client.request("POST", url)
        assert server.connections == 2


async def test_a_redirect_is_an_answer_like_any_other(client: HttpClient) -> None:
    async with serving(answering(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")) as (
        _,
        url,
    ):
        assert (await client.request("POST", url)).status == 307


async def test_a_compressed_body_stays_as_it_came(client: HttpClient) -> None:
    bomb = b"\x1f\x8b" + b"\0" * 100
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 102\r\n\r\n" + bomb
    async with serving(answering(answer)) as (_, url):
        assert (await client.request("POST", url)).body == bomb


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"garbage garbage\r\n\r\n", ResponseInvalid),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", ResponseInvalid),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello", ResponseInvalid),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\nhello", ResponseInvalid),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", ResponseInvalid),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", ResponseInvalid),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", ConnectionLost),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", ConnectionLost),
        (b"HTTP/1.1 200", ConnectionLost),
        (b"", ConnectionLost),
    ],
)
async def test_what_is_no_clean_answer_leaves_the_outcome_unknown(
    client: HttpClient, answer: bytes, error: type[OutcomeUnknown]
) -> None:
    async with serving(answering(answer, then_close=True)) as (_, url):
        with pytest.raises(error):
            await client.request("POST", url)


async def test_a_reset_connection_leaves_the_outcome_unknown(client: HttpClient) -> None:
    async def reset(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.transport.abort()

    async with serving(reset) as (_, url):
        with pytest.raises(ConnectionLost, match="without an answer"):
            await client.request("POST", url, body=b"x")


async def test_a_kept_connection_that_closes_under_a_request_leaves_the_outcome_unknown(client: HttpClient) -> None:
    async def once(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(OK)
        await server.request(reader)
        writer.close()

    async with serving(once) as (server, url):
        await client.request("POST", url)
        with pytest.raises(ConnectionLost):
            await client.request("POST", url)
        assert len(server.requests) == 2


async def test_surplus_bytes_end_the_connection_but_not_the_answer(client: HttpClient) -> None:
    for surplus in (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", b"junk"):
        async with serving(answering(OK + surplus)) as (server, url):
            assert (await client.request("POST", url)).body == b"ok"
            assert (await client.request("POST", url)).body == b"ok"
            assert server.connections == 2


def endless(
    piece: bytes, *, start: bytes = b"HTTP/1.1 200 OK\r\n"
) -> Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()

    return talk


@pytest.mark.parametrize(
    ("piece", "start"),
    [
        (b"x-header: some value\r\n", b"HTTP/1.1 200 OK\r\n"),
        (b"x" * 1000, b"HTTP/1.1 200 OK\r\n"),
        (b"x" * 1000, b"HTTP/1.1 200 OK\r\nx-a: "),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b""),
        (b"x-trailer: 1\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"),
        (b"x" * 1000, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;"),
        (b"0" * 1000, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
    ],
    ids=["headers", "header-name", "header-value", "continue", "trailers", "chunk-extension", "chunk-length"],
)
async def test_endless_framing_is_cut_off(client: HttpClient, piece: bytes, start: bytes) -> None:
    async with serving(endless(piece, start=start)) as (server, url):
        with pytest.raises(ResponseInvalid):
            await client.request("POST", url)
        await asyncio.wait_for(server.ended.wait(), 5)


@pytest.mark.parametrize(
    "framing", [b"\r\n", b"content-length: 99999999999\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"]
)
async def test_an_endless_body_is_cut_off_at_the_limit(client: HttpClient, framing: bytes) -> None:
    piece = b"8\r\nxxxxxxxx\r\n" * 100 if b"chunked" in framing else b"x" * 1000
    async with serving(endless(piece, start=b"HTTP/1.1 200 OK\r\n" + framing)) as (server, url):
        with pytest.raises(ResponseTooLarge, match="100,000 bytes") as error:
            await client.request("POST", url, max_response=100_000)
        assert error.value.status == 200
        await asyncio.wait_for(server.ended.wait(), 5)


async def test_a_body_of_just_the_limit_is_read(client: HttpClient) -> None:
    async with serving(answering(OK)) as (_, url):
        assert (await client.request("POST", url, max_response=2)).body == b"ok"
        with pytest.raises(ResponseTooLarge):
            await client.request("POST", url, max_response=1)


async def test_a_silent_server_runs_into_the_timeout(client: HttpClient) -> None:
    async with serving(answering()) as (server, url):
        with pytest.raises(ResponseTimeout):
            await client.request("POST", url, timeout=0.05)
        await asyncio.wait_for(server.ended.wait(), 5)


async def test_a_trickle_runs_into_the_same_timeout(client: HttpClient) -> None:
    async def trickle(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.01)

    async with serving(trickle) as (_, url):
        with pytest.raises(ResponseTimeout):
            await client.request("POST", url, timeout=0.1)


async def test_each_request_has_its_own_timeout(client: HttpClient) -> None:
    async with serving(answering()) as (_, url):
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def late(timeout: float) -> float:
            with pytest.raises(ResponseTimeout):
                await client.request("POST", url, timeout=timeout)
            return loop.time() - began

        took = await asyncio.gather(late(0.3), late(0.1), late(0.2))
        assert [round(each, 1) >= want for each, want in zip(took, (0.3, 0.1, 0.2), strict=True)] == [True] * 3
        assert took[1] < took[2] < took[0]


async def test_nothing_is_sent_when_no_time_is_left(client: HttpClient) -> None:
    async with serving(answering(OK)) as (server, url):
        with pytest.raises(NotSent):
            await client.request("POST", url, timeout=0)
        assert server.connections == 0


async def test_no_listener_means_nothing_was_sent(client: HttpClient, unused_tcp_port: int) -> None:
    with pytest.raises(ConnectFailed, match="no connection to"):
        await client.request("POST", f"http://127.0.0.1:{unused_tcp_port}/")


async def test_an_unknown_host_means_nothing_was_sent(client: HttpClient) -> None:
    for host in ("nowhere.invalid", "a" * 64 + ".invalid", "a..b"):
        with pytest.raises(ConnectFailed):
            await client.request("POST", f"http://{host}/", timeout=2)


async def test_a_server_without_tls_means_nothing_was_sent(client: HttpClient) -> None:
    async with serving(answering(OK)) as (_, url):
        with pytest.raises(ConnectFailed):
            await client.request("POST", url.replace("http:", "https:"), timeout=1)


async def test_connections_are_bounded_and_requests_wait_their_turn() -> None:
    gate = asyncio.Event()

    async def gated(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.request(reader)
            await gate.wait()
            writer.write(OK)

    async with serving(gated) as (server, url), HttpClient(max_connections=2, timeout=5) as client:
        calls = [asyncio.ensure_future(client.request("POST", url)) for _ in range(20)]
        await server.has_heard(2)
        with pytest.raises(NotSent, match="all 2 connections"):
            await client.request("POST", url, timeout=0.1)
        gate.set()
        assert [(await call).status for call in calls] == [200] * 20
        assert server.connections == 2


async def test_a_cancelled_request_closes_its_connection_and_frees_its_place() -> None:
    arrived = asyncio.Event()

    async def hang(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        arrived.set()
        if len(server.requests) > 1:
            writer.write(OK)
        await reader.read()

    async with serving(hang) as (server, url), HttpClient(max_connections=1, timeout=5) as client:
        call = asyncio.ensure_future(client.request("POST", url))
        await arrived.wait()
        waiting = asyncio.ensure_future(client.request("POST", url))
        cancelled = asyncio.ensure_future(client.request("POST", url))
        await asyncio.sleep(0)
        cancelled.cancel()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await waiting).status == 200
        assert server.connections == 2


async def test_closing_ends_what_is_under_way() -> None:
    async with serving(answering()) as (server, url):
        client = HttpClient()
        call = asyncio.ensure_future(client.request("POST", url))
        await server.has_heard(1)
        await client.close()
        await client.close()
        with pytest.raises(ConnectionLost, match="closed"):
            await call
        with pytest.raises(NotSent, match="closed"):
            await client.request("POST", url)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "1\r\nx-b: 2"},
        {"x-a": "1\n"},
        {"x-a": "\0"},
        {"x-a\r\nx-b": "1"},
        {"x a": "1"},
        {"": "1"},
        {"x-a": "ŝ"},
        {"Host": "other"},
        {"Content-Length": "0"},
        {"transfer-encoding": "chunked"},
    ],
)
async def test_headers_cannot_be_smuggled(client: HttpClient, headers: dict[str, str]) -> None:
    async with serving(answering(OK)) as (server, url):
        with pytest.raises(RequestRefused):
            await client.request("POST", url, headers=headers)
        assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "http://",
        "http:///path",
        "http://user:pw@host/",
        "http://host/#part",
        "http://host/a b",
        "http://host/\r\nx: 1",
        "http://hôst/",
        "http://host:99999/",
        "http://host:x/",
        "/relative",
        "",
    ],
)
async def test_what_is_no_address_is_refused(client: HttpClient, url: str) -> None:
    with pytest.raises(RequestRefused):
        await client.request("POST", url)


async def test_an_unknown_method_is_refused(client: HttpClient) -> None:
    with pytest.raises(RequestRefused, match="DELETE, GET, PATCH, POST, PUT"):
        await client.request("GET / HTTP/1.1\r\n", "http://127.0.0.1:1/")


async def test_a_client_goes_over_to_another_event_loop() -> None:
    async with serving(answering(OK)) as (server, url):
        assert await asyncio.to_thread(_run_in_two_loops, url) == [200, 200]
        assert server.connections == 2


def _run_in_two_loops(url: str) -> list[int]:
    client = HttpClient(timeout=5)

    async def once() -> int:
        answer = await client.request("POST", url)
        client._drop()
        await asyncio.sleep(0)
        return answer.status

    return [asyncio.run(once()), asyncio.run(once())]


async def test_tls_verifies_the_certificate_by_default() -> None:
    async with HttpClient() as client:
        assert client._ssl().verify_mode is ssl.CERT_REQUIRED
        assert client._ssl().check_hostname


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_with_a_sink_the_body_is_handed_on_as_it_comes() -> None:
    taken: list[bytes] = []
    first_taken = asyncio.Event()

    def sink(data: bytes) -> None:
        taken.append(data)
        first_taken.set()

    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.request(reader)
            writer.write(CHUNKED + b"3\r\none\r\n")
            await first_taken.wait()
            writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with serving(talk) as (server, url), HttpClient(timeout=5) as client:
        for _ in range(2):
            first_taken.clear()
            response = await client.request("POST", url, sink=sink)
            assert (response.status, response.body) == (200, b"")
        assert taken == [b"one", b"two"] * 2
        assert (await client.request("POST", url)).body == b"onetwo", (
            "the sink was of the request, not of the connection"
        )
        assert server.connections == 1


async def test_a_sink_gets_nothing_of_an_answer_with_another_status() -> None:
    taken: list[bytes] = []
    async with (
        serving(answering(b"HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\nwhy?")) as (_, url),
        HttpClient() as client,
    ):
        response = await client.request("POST", url, sink=taken.append)
    assert (response.status, response.body, taken) == (409, b"why?", [])


async def test_what_a_sink_raises_ends_the_request_and_the_connection() -> None:
    def sink(data: bytes) -> None:
        raise ResponseInvalid(f"{data!r} is nothing to me")

    async with serving(answering(OK)) as (server, url), HttpClient() as client:
        for _ in range(2):
            with pytest.raises(ResponseInvalid, match="is nothing to me"):
                await client.request("POST", url, sink=sink)
        assert server.connections == 2


async def test_a_sink_is_not_fed_past_the_limit() -> None:
    taken: list[bytes] = []
    async with serving(answering(CHUNKED + b"6\r\nsesame\r\n")) as (_, url), HttpClient() as client:
        with pytest.raises(ResponseTooLarge):
            await client.request("POST", url, max_response=5, sink=taken.append)
    assert taken == []


async def test_an_answer_that_ends_early_fails_after_what_came_of_it() -> None:
    taken: list[bytes] = []
    async with (
        serving(answering(CHUNKED + b"3\r\none\r\n", then_close=True)) as (_, url),
        HttpClient() as client,
    ):
        with pytest.raises(ConnectionLost, match="in the middle of its answer"):
            await client.request("POST", url, sink=taken.append)
    assert taken == [b"one"]
