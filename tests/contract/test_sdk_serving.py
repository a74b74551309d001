"""One app behind every way of serving it: ASGI on uvicorn, FastAPI, WSGI, Flask, Django, and `app.serve` in its own process.

Each is asked over a real socket, as the engine asks: signed GET, signed POST, an unsigned one, and one that is too large.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
import time
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from stepwell import App, ConfigurationError, Step, SyncStep
from stepwell.asgi import MOST_BODY
from stepwell_protocol import wire
from stepwell_protocol.client import HttpClient, Response
from stepwell_protocol.http_errors import ConnectFailed, ConnectionLost
from stepwell_protocol.sharing import PARTS, OneAnswer, PartReader, encode_calls
from stepwell_protocol.signing import sign_v2, verify_v2

KEY = "sk_serving"
PATH = "/api/stepwell"


def make_app() -> App:
    app = App("serving", signing_key=KEY, app_id="app")

    async def shout(text: str) -> str:
        return text.upper()

    @app.function()
    async def asynchronous(step: Step, text: str) -> str:
        return await step.run("shout", shout, text)

    @app.function()
    def plain(step: SyncStep, text: str) -> str:
        return step.run("shout", shout, text)

    return app


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextlib.contextmanager
def on_uvicorn(application: Any) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=port, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "uvicorn did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}{PATH}"
    finally:
        server.should_exit = True
        thread.join(10)


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def on_wsgiref(application: Any) -> Iterator[str]:
    with wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{PATH}"
        finally:
            server.shutdown()
            thread.join(10)


@contextlib.contextmanager
def asgi(app: App) -> Iterator[str]:
    with on_uvicorn(app.asgi) as url:
        yield url


@contextlib.contextmanager
def fastapi(app: App) -> Iterator[str]:
    from stepwell.fastapi import serve

    api = FastAPI()
    serve(api, app)
    with on_uvicorn(api) as url:
        yield url


@contextlib.contextmanager
def wsgi(app: App) -> Iterator[str]:
    with on_wsgiref(app.wsgi) as url:
        yield url
    app.wsgi.close()


@contextlib.contextmanager
def flask(app: App) -> Iterator[str]:
    from flask import Flask

    from stepwell.flask import serve

    site = Flask("site")
    serve(site, app)
    with on_wsgiref(site) as url:
        yield url
    app.wsgi.close()


@contextlib.contextmanager
def django(app: App) -> Iterator[str]:
    import django as framework  # type: ignore[import-untyped]
    from django.conf import settings  # type: ignore[import-untyped]

    from stepwell.django import view

    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", DATA_UPLOAD_MAX_MEMORY_SIZE=None, USE_TZ=True
        )
        framework.setup()
    from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
    from django.urls import path  # type: ignore[import-untyped]

    urlpatterns[:] = [path(PATH.lstrip("/"), view(app))]
    with on_wsgiref(get_wsgi_application()) as url:
        yield url
    app.wsgi.close()


urlpatterns: list[Any] = []
"""Django's routes, filled by `django`."""

SERVED: list[Callable[[App], contextlib.AbstractContextManager[str]]] = [asgi, fastapi, wsgi, flask, django]
EVERY_WAY = pytest.mark.parametrize("serve", SERVED, ids=lambda each: each.__name__)


def ask(url: str, body: bytes, *, method: str = "POST", headers: dict[str, str] | None = None) -> Response:
    signed = {"stepwell-signature": sign_v2(body, KEY, now=time.time()), "content-type": "application/json"}

    async def once() -> Response:
        async with HttpClient(timeout=10) as client:
            sent = signed if headers is None else headers
            return await client.request(method, url, headers=sent, body=body)

    return asyncio.run(once())


def call(function: str, *, token: int) -> bytes:
    now = int(time.time() * 1000)
    return wire.encode_invoke(
        f"run-{function}",
        function_id=function,
        event=wire.encode_event("e1", name="x", data='"ünï"'.encode()),
        entries=[],
        terms=wire.Terms(wire.Call(token, 1, now + 5000, now + 30_000, 0), revision=1),
    )


@EVERY_WAY
def test_the_engine_is_answered(serve: Callable[[App], contextlib.AbstractContextManager[str]]) -> None:
    with serve(make_app()) as url:
        for function in ("asynchronous", "plain"):
            response = ask(url, call(function, token=1))
            verify_v2(response.body, response.header("stepwell-signature"), [KEY], now=time.time())
            (op,) = wire.decode_answer_v2(response.body).ops
            assert isinstance(op, wire.StepDone)
            assert json.loads(op.data) == "ÜNÏ"
        described = ask(url, b"", method="GET")
        assert (described.status, json.loads(described.body)["app"]) == (200, "serving")
        verify_v2(described.body, described.header("stepwell-signature"), [KEY], now=time.time())


@pytest.mark.parametrize("serve", [asgi, fastapi], ids=lambda each: each.__name__)
def test_calls_of_one_request_are_answered_one_by_one_where_the_framework_streams(
    serve: Callable[[App], contextlib.AbstractContextManager[str]],
) -> None:
    app, gate = make_app(), threading.Event()

    @app.function()
    def held(step: SyncStep, text: str) -> str:
        return step.run("wait", lambda: text if gate.wait(10) else "")

    found: list[OneAnswer] = []

    async def together(url: str, body: bytes) -> None:
        reader = PartReader([KEY])

        def sink(data: bytes) -> None:
            found.extend(reader.feed(data, now=time.time()))
            gate.set()

        signed = {"stepwell-signature": sign_v2(body, KEY, now=time.time())}
        async with HttpClient(timeout=10) as client:
            response = await client.request("POST", url, headers=signed, body=body, sink=sink)
        assert (response.status, response.header("content-type")) == (200, PARTS)

    with serve(app) as url:
        assert "sharedCalls" in json.loads(ask(url, b"", method="GET").body)["capabilities"]
        asyncio.run(together(url, encode_calls([call("held", token=1), call("plain", token=1)])))
    assert [(answer.place, answer.status) for answer in found] == [(1, 200), (0, 200)]
    for answer in found:
        (op,) = wire.decode_answer_v2(answer.body).ops
        assert isinstance(op, wire.StepDone)


@pytest.mark.parametrize("serve", [wsgi, flask, django], ids=lambda each: each.__name__)
def test_they_are_refused_where_it_does_not_and_the_app_says_so(
    serve: Callable[[App], contextlib.AbstractContextManager[str]],
) -> None:
    with serve(make_app()) as url:
        assert "sharedCalls" not in json.loads(ask(url, b"", method="GET").body)["capabilities"]
        refused = ask(url, encode_calls([call("plain", token=1), call("plain", token=2)]))
    assert (refused.status, refused.header("stepwell-signature") is not None) == (400, True)


@EVERY_WAY
def test_a_stranger_is_refused(serve: Callable[[App], contextlib.AbstractContextManager[str]]) -> None:
    with serve(make_app()) as url:
        assert ask(url, call("plain", token=1), headers={}).status == 401
        assert ask(url, b"", method="GET", headers={}).status == 401


@pytest.mark.parametrize("serve", [asgi, wsgi], ids=lambda each: each.__name__)
def test_a_body_that_no_call_can_have_is_not_read(
    serve: Callable[[App], contextlib.AbstractContextManager[str]],
) -> None:
    too_large = b"x" * (MOST_BODY + 1)
    with (
        serve(make_app()) as url,
        contextlib.suppress(ConnectionLost),
    ):  # the answer may come while the body is still sent
        assert ask(url, too_large).status == 413


def test_an_app_without_a_key_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STEPWELL_SIGNING_KEY", "STEPWELL_APP_ID", "STEPWELL_URL"):
        monkeypatch.delenv(name, raising=False)
    app = App("keyless", url="https://engine.example")
    for served in (lambda: app.asgi, lambda: app.wsgi, app.serve):
        with pytest.raises(
            ConfigurationError, match="has no signing key: set STEPWELL_APP_ID and STEPWELL_SIGNING_KEY"
        ):
            served()
    with pytest.raises(ConfigurationError, match="no signing key"):
        _ = App("keyless", environment="prod").asgi


async def test_a_process_of_its_own_serves_an_app_and_stops_cleanly(unused_tcp_port: int) -> None:
    code = (
        "from stepwell import App\n"
        f"app = App('own', signing_key={KEY!r}, app_id='app', url='http://127.0.0.1:9')\n"
        f"app.serve(port={unused_tcp_port})\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=os.environ | {"PYTHONWARNINGS": "error"}, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with HttpClient(timeout=10) as client, asyncio.timeout(15):
            url = f"http://127.0.0.1:{unused_tcp_port}{PATH}"
            assert json.loads((await _first_answer(client, url)).body)["app"] == "own"
            assert (await client.request("GET", f"http://127.0.0.1:{unused_tcp_port}/other")).status == 404
        process.terminate()
        async with asyncio.timeout(10):
            _, errors = await process.communicate()
        assert b"Traceback" not in errors, errors.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _first_answer(client: HttpClient, url: str) -> Response:
    while True:
        try:
            return await client.request("GET", url, headers={"stepwell-signature": sign_v2(b"", KEY, now=time.time())})
        except ConnectFailed:
            await asyncio.sleep(0.05)
