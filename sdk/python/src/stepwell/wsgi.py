"""An app as a WSGI application, for Flask, Django and any other WSGI server.

Handlers run in one event loop in the background, plain ones in threads; the server's thread waits for the answer.
"""

import http
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stepwell.asgi import MOST_BODY, plain_reply
from stepwell.background import BackgroundLoop
from stepwell.endpoint import Reply, Request
from stepwell.errors import StepwellError

if TYPE_CHECKING:
    from stepwell.app import App

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Wsgi:
    """The WSGI application of an app."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._background = BackgroundLoop()

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        reply = self._reply(environ)
        status = f"{reply.status} {http.HTTPStatus(reply.status).phrase}"
        start_response(status, [*reply.headers, ("content-length", str(len(reply.body)))])
        return [reply.body]

    def answer(self, method: str, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """Answer a request that a framework has read already."""
        return self._background.run(self._answer(Request(method, headers, body)))

    def close(self) -> None:
        """Close what is open towards the engine, and stop the loop."""
        self._background.run(self._app.close())
        self._background.stop()

    def _reply(self, environ: Mapping[str, Any]) -> Reply:
        try:
            length = int(environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            return plain_reply(400, "content-length is not a number")
        if not 0 <= length <= MOST_BODY:
            return plain_reply(413, f"a body has at most {MOST_BODY:,} bytes")
        body = environ["wsgi.input"].read(length) if length else b""
        headers = {
            name[5:].replace("_", "-").lower().encode("latin-1"): str(value).encode("latin-1")
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        return self.answer(environ["REQUEST_METHOD"], headers, body)

    async def _answer(self, request: Request) -> Reply:
        if not self._app.client.connection.signing_keys:
            try:
                await self._app.connect()
            except StepwellError as error:
                return plain_reply(503, str(error))
        return await self._app.endpoint.answer(request)
