"""An app inside the test that answers the operator's introspection, and nothing else.

It signs with the key it is given, says what the test wants it to serve, and counts the requests.
"""

import json
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from stepwell_protocol.signing import sign_v2, verify_v2


class StandInApp:
    """`key` None: it answers 405 without a signature, as a version-1 app does. `status` other than 200 is its answer."""

    def __init__(
        self, *, functions: Sequence[dict[str, Any]] = (), steps: Sequence[str] = (), key: str | None = None
    ) -> None:
        self.functions = list(functions)
        self.steps = list(steps)
        self.key = key
        self.status = 200
        self.skew = 0.0
        """Seconds by which its clock is ahead."""
        self.asked = 0
        app = self

        class Receiver(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                app.asked += 1
                body, headers, status = b"", {}, 405
                if app.status != 200:
                    status = app.status
                elif app.key is not None:
                    now = time.time()
                    verify_v2(b"", self.headers["stepwell-signature"], (app.key,), now=now)
                    body, status = json.dumps(app.served()).encode(), 200
                    headers = {"stepwell-signature": sign_v2(body, app.key, now=now)}
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/api/stepwell"

    def served(self) -> dict[str, Any]:
        return {
            "protocol": 2,
            "functions": self.functions,
            "steps": [{"id": name} for name in self.steps],
            "sdk": {"name": "stand-in", "version": "1.0", "language": "python"},
            "capabilities": [],
            "time": int((time.time() + self.skew) * 1000),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
