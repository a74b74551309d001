"""kopf as the event source: tells the store what a watch tells.

Only `@kopf.on.event` is used. kopf's timers and daemons leave finalizers and its change handlers leave annotations on the
objects; an event handler leaves nothing, and what it missed the sweep finds. kopf posts no events of its own, takes part
in no peering and scans for no namespaces; it authenticates with the operator's own access.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import kopf

from ..objects import Json, key_of, uid_of
from ..resources import GROUP, KINDS, VERSION
from ..store import Store
from .access import Access


class Source:
    """Watches the five kinds."""

    def __init__(
        self,
        access: Access,
        store: Store,
        *,
        deleted: Callable[[Json], None],
        namespaces: frozenset[str] | None,
    ) -> None:
        self._access = access
        self._store = store
        self._deleted = deleted
        self._namespaces = namespaces
        self._stop = asyncio.Event()

    async def run(self, *, started: Callable[[], None]) -> None:
        """Watch until `stop`. kopf takes the process's signals for itself; `started` is called when it has, so that they
        can be taken back."""
        registry = kopf.OperatorRegistry()
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.watching.connect_timeout = 10
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        settings.networking.request_timeout = 30
        kopf.on.login(registry=registry)(self._login)
        for kind in KINDS:
            kopf.on.event(GROUP, VERSION, kind.plural, registry=registry)(self._on_event)
        for noisy in ("kopf", "kopf.objects", "kopf.activities"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        scope: dict[str, Any] = {"clusterwide": True} if self._namespaces is None else {"namespaces": self._namespaces}
        ready = asyncio.Event()
        watching = asyncio.ensure_future(
            kopf.operator(
                registry=registry, settings=settings, standalone=True, stop_flag=self._stop, ready_flag=ready, **scope
            )
        )
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait({watching, waiting}, return_when=asyncio.FIRST_COMPLETED)
            started()
            await watching
        finally:
            waiting.cancel()
            watching.cancel()
            await asyncio.gather(waiting, watching, return_exceptions=True)

    def stop(self) -> None:
        self._stop.set()

    async def _on_event(self, event: Any, **_: Any) -> None:
        obj: Json = _plain(event["object"])
        obj["metadata"].pop("managedFields", None)
        if event["type"] == "DELETED":
            self._deleted(obj)
            self._store.remove(key_of(obj), uid=uid_of(obj))
        else:
            self._store.put(obj)

    async def _login(self, **_: Any) -> kopf.ConnectionInfo:
        access = self._access
        return kopf.ConnectionInfo(
            server=access.server,
            ca_path=str(access.ca_path) if access.ca_path else None,
            certificate_path=str(access.certificate_path) if access.certificate_path else None,
            private_key_path=str(access.key_path) if access.key_path else None,
            insecure=None if access.ca_path else True,
            scheme="Bearer" if access.token() else None,
            token=access.token(),
            default_namespace=access.namespace,
        )


def _plain(value: Any) -> Any:
    """kopf's read-only views as plain JSON of our own."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value
