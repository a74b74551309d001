"""Who may look and act: the admin token, the sessions made from it, and the rule for running without one.

Promises: a session is worth nothing without the token it was signed under, ends after `LIFETIME`, and survives a restart
and a second replica, because it is a signature and nothing is stored. Changing the token ends every session. All
comparisons take constant time. Without a token the dashboard serves only a machine's own user: in dev mode, bound to
loopback, and asked for by a loopback name, so that a web page cannot reach it by DNS rebinding.
"""

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from stepwell_engine.errors import StepwellError

LIFETIME = timedelta(hours=12)
SHORTEST_TOKEN = 16
_ATTEMPTS, _WINDOW_SECONDS, _REMEMBERED = 10, 60.0, 1024


class Settings(Protocol):
    """What the dashboard needs to know; the engine's settings have it."""

    @property
    def admin_token(self) -> str | None: ...

    @property
    def host(self) -> str: ...

    @property
    def dev(self) -> bool: ...


class Misconfigured(StepwellError):
    """The dashboard refuses to start as it is configured."""

    code = "Misconfigured"


class Access:
    """Raises Misconfigured unless there is a token, or dev mode on a loopback address."""

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        token = settings.admin_token
        if token is None and not (settings.dev and is_loopback(settings.host)):
            raise Misconfigured(
                f"nobody could be told from anybody: the dashboard is bound to {settings.host} without an admin token; "
                "set STEPWELL_ADMIN_TOKEN, or run in dev mode on 127.0.0.1"
            )
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise Misconfigured(
                f"STEPWELL_ADMIN_TOKEN has {len(token)} characters and could be guessed: use at least {SHORTEST_TOKEN}, "
                "for instance from `openssl rand -hex 32`"
            )
        self.required = token is not None
        self._token = hashlib.sha256((token or secrets.token_hex()).encode()).digest()
        self._key = hmac.digest(self._token, b"stepwell dashboard session", "sha256")
        self._now = now

    def accepts(self, token: str) -> bool:
        return self.required and hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self._token)

    def new_session(self) -> str:
        body = f"{int(self._now() + LIFETIME.total_seconds())}.{secrets.token_urlsafe(12)}"
        return f"{body}.{self._sign(body)}"

    def holds(self, session: str) -> bool:
        """Whether `session` was made under this token and has not ended."""
        body, _, signature = session.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return False
        return float(body.partition(".")[0]) > self._now()

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), "sha256").hexdigest()


@dataclass(slots=True)
class Attempts:
    """Failed sign-ins by address: at most ten a minute. Remembers a bounded number of addresses."""

    now: Callable[[], float] = time.monotonic
    _failed: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)

    def retry_after(self, address: str) -> float | None:
        """Seconds until `address` may try again; None: at once."""
        recent = self._recent(address)
        return None if len(recent) < _ATTEMPTS else max(1.0, recent[0] + _WINDOW_SECONDS - self.now())

    def record(self, address: str) -> None:
        self._failed[address] = [*self._recent(address), self.now()][-_ATTEMPTS:]
        self._failed.move_to_end(address)
        if len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        return [at for at in self._failed.get(address, []) if at > self.now() - _WINDOW_SECONDS]


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without a port, can only mean this machine."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
