# ruff: noqa: T201
"""An app that speaks version 1 of the wire, written from its description alone.

Standard library only; nothing of Stepwell is imported. It registers itself (`/api/apps`, `/fn/sync`), serves five
functions and keeps a witness log: one JSON line per request, step start, step finish and answer, in the order in which
they happened, with the bodies as they were on the wire. Results carry a random nonce, so that two executions of one
step can be told apart, and numbers and escapes that only survive if the bytes are kept.

    python v1_app.py --port 4100 --engine http://127.0.0.1:3030 --state app.json --witness witness.jsonl
"""

import argparse
import hashlib
import hmac
import itertools
import json
import os
import random
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FUNCTIONS = [
    {"id": "chain", "trigger": {"event": "chaos.chain"}, "maxAttempts": 3},
    {"id": "napper", "trigger": {"event": "chaos.nap"}, "maxAttempts": 3},
    {"id": "waiter", "trigger": {"event": "chaos.wait"}, "maxAttempts": 3},
    {"id": "flaky", "trigger": {"event": "chaos.flake"}, "maxAttempts": 20},
    {"id": "doomed", "trigger": {"event": "chaos.doom"}, "maxAttempts": 3},
    {"id": "tick", "trigger": {"cron": "*/5 * * * * *"}, "maxAttempts": 3},
]
WAIT_SECONDS = 25


def sign(key: str, body: bytes) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


class Witness:
    """Append-only, one line per fact, in order. Survives the app's own death: a line is written before the fact
    shows."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock = threading.Lock()

    def note(self, what: str, **facts: object) -> None:
        with self._lock:
            line = json.dumps({"t": time.time(), "what": what, **facts}) + "\n"
            os.write(self._file, line.encode())


class App:
    def __init__(self, key: str, witness: Witness) -> None:
        self.key = key
        self.witness = witness
        self._failures: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def answer(self, request: dict[str, Any]) -> bytes:
        """The next operation that the function reaches, as JSON."""
        run, steps, event = request["runId"], request["steps"], request["event"]
        key = (event.get("data") or {}).get("key", "-")
        match request["functionId"]:
            case "chain":
                plan = [("step", f"s{number}") for number in range(1, 6)]
            case "napper":
                plan = [("step", "before"), ("sleep", "nap"), ("step", "after")]
            case "waiter":
                plan = [("step", "ask"), ("wait", "approval"), ("step", "tell")]
            case "flaky":
                plan = [("step", "calm"), ("flake", "wild"), ("step", "calm-again")]
            case "doomed":
                plan = [("step", "hope"), ("doom", "end")]
            case "tick":
                plan = [("step", "tock")]
            case unknown:
                return json.dumps({"op": "error", "id": None, "message": f"no {unknown}", "retryable": False}).encode()
        for kind, name in plan:
            if name not in steps:
                return self._operation(kind, name, run, key)
        # The end depends on every result, so that a result that was changed on the way shows in the output.
        digest = hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()
        return b'{"op": "done", "data": ' + self._result(key, digest) + b"}"

    def _operation(self, kind: str, name: str, run: str, key: str) -> bytes:
        match kind:
            case "sleep":
                return json.dumps({"op": "sleep", "id": name, "until": _later(random.uniform(0.5, 4))}).encode()
            case "wait":
                match = {"key": key}
                until = _later(WAIT_SECONDS)
                event = "chaos.approval"
                return json.dumps({"op": "wait", "id": name, "event": event, "match": match, "until": until}).encode()
            case "doom":
                message = "it was never going to work"
                return json.dumps({"op": "error", "id": name, "message": message, "retryable": False}).encode()
            case "flake" if self._fails(run, name):
                return json.dumps({"op": "error", "id": name, "message": "not yet", "retryable": True}).encode()
            case _:
                self.witness.note("start", run=run, step=name)
                time.sleep(random.choice((0, 0, 0.005, 0.03, 0.1)))
                data = self._result(key, secrets.token_hex(8))
                self.witness.note("finish", run=run, step=name, data=data.decode())
                return b'{"op": "step", "id": "' + name.encode() + b'", "data": ' + data + b"}"

    def _fails(self, run: str, name: str) -> bool:
        with self._lock:
            failures = self._failures.get((run, name), 0)
            self._failures[run, name] = failures + 1
        return failures < 2

    @staticmethod
    def _result(key: str, nonce: str) -> bytes:
        text = '{"z": "%s",  "key": "%s", "f": 1.50, "e": 1E2, "n": -0.0, "u": "\\u00e9é\\/", "l": [ 1,2 ]}'
        return (text % (nonce, key)).encode()


def _later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def handler_for(app: App) -> type[BaseHTTPRequestHandler]:
    numbers = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if not hmac.compare_digest(
                self.headers.get("x-durable-signature", "").encode(), sign(app.key, body).encode()
            ):
                app.witness.note("refused", why="signature")
                self._reply(401, b'{"error": "bad signature"}')
                return
            number = next(numbers)
            request = json.loads(body)
            app.witness.note("request", run=request["runId"], number=number, body=body.decode())
            answer = app.answer(request)
            app.witness.note("answer", run=request["runId"], number=number, body=answer.decode())
            self._reply(200, answer)

        def do_GET(self) -> None:
            self._reply(404, b"{}")

        def _reply(self, status: int, body: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.send_header("x-durable-signature", sign(app.key, body))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                app.witness.note("hung up")
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that was killed mid-request is the business of this test, not an error of the app."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def post(url: str, body: object, *, app: str = "", key: str = "", timeout: float = 10) -> Any:
    raw = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    if key:
        headers |= {"x-durable-app": app, "x-durable-signature": sign(key, raw)}
    with urllib.request.urlopen(urllib.request.Request(url, raw, headers), timeout=timeout) as answer:
        return json.loads(answer.read())


def register(engine: str, state: Path, callback: str) -> str:
    """The signing key: from the state file after the first time, so that the app starts while the engine is away."""
    if state.exists():
        return str(json.loads(state.read_text())["signingKey"])
    made = post(f"{engine}/api/apps", {"name": "chaos", "environment": "dev"})
    post(f"{engine}/fn/sync", {"url": callback, "functions": FUNCTIONS}, app=made["appId"], key=made["signingKey"])
    scratch = state.with_suffix(".new")
    scratch.write_text(json.dumps(made))
    scratch.replace(state)
    return str(made["signingKey"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--witness", type=Path, required=True)
    options = parser.parse_args()
    key = register(options.engine, options.state, f"http://127.0.0.1:{options.port}/api/durable")
    server = Server(("127.0.0.1", options.port), handler_for(App(key, Witness(options.witness))))
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.url}: {error.code} {error.read().decode(errors='replace')}")
