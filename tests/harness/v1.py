"""An app inside the test that speaks version 1 of the wire, with the standard library alone, so that a test decides
what each step does and sees every request."""

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handler = Callable[[dict[str, Any]], dict[str, Any] | None]


class V1App:
    """`handler` answers each invocation with an operation, or with None: 503. `requests` holds the invocations in
    order of arrival."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[dict[str, Any]] = []
        self._handler = handler
        self._key = ""
        self._id = ""
        app = self

        class Receiver(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.headers["x-durable-signature"] == app._sign(body), "the engine's signature is wrong"
                request = json.loads(body)
                app.requests.append(request)
                operation = app._handler(request)
                answer = json.dumps(operation).encode()
                self.send_response(200 if operation else 503)
                self.send_header("content-length", str(len(answer)))
                self.send_header("x-durable-signature", app._sign(answer))
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """The engine is killed in the middle of requests."""

        self._server = Server(("127.0.0.1", 0), Receiver)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def register(self, engine: str, *functions: dict[str, Any]) -> None:
        made = self._post(f"{engine}/api/apps", {"name": "app", "environment": "dev"})
        self._id, self._key = made["appId"], made["signingKey"]
        self._post(f"{engine}/fn/sync", {"url": self.url, "functions": list(functions)})

    def send(self, engine: str, name: str, data: object) -> str:
        """The accepted event's id. A gateway that has just lost Postgres says 503 (nothing was accepted): sent
        again."""
        deadline = time.monotonic() + 15
        while True:
            try:
                return str(self._post(f"{engine}/e", {"name": name, "data": data})["id"])
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > deadline:
                    raise
                error.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _sign(self, body: bytes) -> str:
        return hmac.new(self._key.encode(), body, hashlib.sha256).hexdigest()

    def _post(self, url: str, body: object) -> Any:
        raw = json.dumps(body).encode()
        headers = {
            "content-type": "application/json",
            "x-durable-app": self._id,
            "x-durable-signature": self._sign(raw),
        }
        with urllib.request.urlopen(urllib.request.Request(url, raw, headers), timeout=10) as answer:
            return json.loads(answer.read())
