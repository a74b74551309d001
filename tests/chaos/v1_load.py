# ruff: noqa: T201
"""A client that sends events by version 1 of the wire and keeps a ledger of what it was told.

Standard library only. One JSON line per operation, once its outcome is known: `ok` (2xx, with the event's id), `fail`
(refused, or given up after a minute) or `unknown` (sent, and the connection broke before the answer; never sent again). An
operation that was told to try again is tried again; `attempts` counts those that may have been accepted.

    python v1_load.py --engine http://127.0.0.1:3030 --state app.json --ledger ledger.jsonl --rate 12
"""

import argparse
import hashlib
import heapq
import hmac
import http.client
import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

_EVENTS = ("chaos.chain", "chaos.chain", "chaos.nap", "chaos.wait", "chaos.flake", "chaos.doom")
_THREADS = 6
_GIVE_UP_AFTER = 60.0


class Ledger:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock = threading.Lock()

    def note(self, **facts: object) -> None:
        with self._lock:
            os.write(self._file, (json.dumps(facts) + "\n").encode())


class Sender:
    """`send` returns the outcome, the event's id, and how many of its attempts may have been accepted: a 503 says to try
    again, and where Postgres went away around the commit it may have been one."""

    def __init__(self, engine: str, app: str, key: str) -> None:
        parts = urlsplit(engine)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._app, self._key = app, key

    def send(self, name: str, data: str) -> tuple[str, str | None, int]:
        body = f'{{"name": "{name}", "data": {data}}}'.encode()
        headers = {
            "content-type": "application/json",
            "x-durable-app": self._app,
            "x-durable-signature": hmac.new(self._key.encode(), body, hashlib.sha256).hexdigest(),
        }
        deadline = time.monotonic() + _GIVE_UP_AFTER
        attempts = 0
        while time.monotonic() < deadline:
            sent = False
            try:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=15)
                connection.connect()
                sent = True
                connection.request("POST", "/e", body, headers)
                answer = connection.getresponse()
                text = answer.read()
                connection.close()
            except (OSError, http.client.HTTPException):
                if sent:
                    return "unknown", None, attempts + 1
                time.sleep(0.1)
                continue
            attempts += 1
            if 200 <= answer.status < 300:
                return "ok", json.loads(text)["id"], attempts
            if answer.status in (500, 502, 504):
                return "unknown", None, attempts
            if answer.status not in (429, 503):
                return f"fail: {answer.status} {text.decode(errors='replace')[:200]}", None, attempts - 1
            time.sleep(0.1)
        return "fail: nobody answered", None, attempts


class Load:
    def __init__(self, engine: str, state: Path, ledger: Ledger, rate: float, seed: int) -> None:
        credentials = json.loads(state.read_text())
        self._engine, self._app, self._key = engine, credentials["appId"], credentials["signingKey"]
        self._ledger = ledger
        self._rate = rate
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._number = 0
        self._next = time.monotonic()
        self._approvals: list[tuple[float, str]] = []
        self.stopping = threading.Event()

    def work(self) -> None:
        sender = Sender(self._engine, self._app, self._key)
        while (operation := self._take()) is not None:
            name, key = operation
            data = f'{{"key": "{key}",  "amount": 12.50, "note": "\\u00fc", "tags": [ ]}}'
            began = time.time()
            outcome, event, attempts = sender.send(name, data)
            self._ledger.note(
                name=name,
                key=key,
                data=data,
                outcome=outcome,
                id=event,
                attempts=attempts,
                began=began,
                ended=time.time(),
            )
            if name == "chaos.wait" and outcome == "ok":
                with self._lock:
                    if self._random.random() < 0.8:
                        heapq.heappush(self._approvals, (time.monotonic() + self._random.uniform(1, 6), key))

    def _take(self) -> tuple[str, str] | None:
        """The next thing to send, at its time; None when told to stop and no approval is owed."""
        while True:
            with self._lock:
                now = time.monotonic()
                if self._approvals and self._approvals[0][0] <= now:
                    return "chaos.approval", heapq.heappop(self._approvals)[1]
                if self.stopping.is_set():
                    if not self._approvals:
                        return None
                elif self._next <= now:
                    # After an outage the load goes on at its pace, it does not make up for what it missed.
                    self._next = max(self._next, now - 0.5) + 1 / self._rate
                    self._number += 1
                    return self._random.choice(_EVENTS), f"k{self._number:06}"
            time.sleep(0.005)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    load = Load(options.engine, options.state, Ledger(options.ledger), options.rate, options.seed)
    signal.signal(signal.SIGTERM, lambda *_: load.stopping.set())
    threads = [threading.Thread(target=load.work) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    print("sending", flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
