"""Where the engine is and who this app is: STEPWELL_URL, STEPWELL_APP_ID and STEPWELL_SIGNING_KEY.

Arguments come before the environment. Without a signing key an app answers nobody, with one exception for a laptop:
when the engine's address is on loopback, the app registers itself there and takes the key it is given.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

DEFAULT_URL: Final = "http://127.0.0.1:3030"


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the engine, and as which app. Keys are tried in order; the first one signs."""

    url: str
    app_id: str | None
    signing_keys: tuple[str, ...]

    @property
    def is_loopback(self) -> bool:
        """Whether the engine is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


def read_connection(
    *,
    url: str | None,
    app_id: str | None,
    signing_key: str | None,
    environ: Mapping[str, str] = os.environ,
) -> Connection:
    """Arguments first, then the environment, then the address of a local engine."""
    key = signing_key or environ.get("STEPWELL_SIGNING_KEY")
    previous = environ.get("STEPWELL_SIGNING_KEY_PREVIOUS") if signing_key is None else None
    return Connection(
        url=(url or environ.get("STEPWELL_URL") or DEFAULT_URL).rstrip("/"),
        app_id=app_id or environ.get("STEPWELL_APP_ID"),
        signing_keys=tuple(each for each in (key, previous) if each),
    )
