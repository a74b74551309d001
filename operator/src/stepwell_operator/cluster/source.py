"""kopf as the event source: tells the store what a watch tells.

Only `@kopf.on.event` is used. kopf's timers and daemons leave finalizers and its change handlers leave annotations on the
objects; an event handler leaves nothing, and what it missed the sweep finds. kopf posts no events of its own, takes part
in no peering and scans for no namespaces; it authenticates with the operator's own access.

It runs in a thread with an event loop of its own: when it ends it cancels every task of its loop that it finds, whoever
started it, and in the main thread it takes the process's signals.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import kopf

from ..objects import Json, key_of, uid_of
from ..resources import GROUP, KINDS, VERSION
from ..store import Store
from .access import Access

STOP_SECONDS = 10.0


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
        self._stop = threading.Event()

    async def run(self) -> None:
        """Watch until cancelled. Returns or raises by itself only when kopf can go on no more."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def watch() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._watch(loop))
            except BaseException as caught:  # noqa: BLE001 - whatever it is, the main thread must hear of it
                error = caught
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, ended, error)

        thread = threading.Thread(target=watch, name="watch", daemon=True)
        thread.start()
        try:
            await asyncio.shield(ended)
        finally:
            self._stop.set()
            await asyncio.wait({ended}, timeout=STOP_SECONDS)

    async def _watch(self, main: asyncio.AbstractEventLoop) -> None:
        async def heard(event: Any, **_: Any) -> None:
            obj: Json = _plain(event["object"])
            obj["metadata"].pop("managedFields", None)
            main.call_soon_threadsafe(self._take, event["type"], obj)

        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for kind in KINDS:
            kopf.on.event(GROUP, VERSION, kind.plural, registry=registry)(heard)
        scope: dict[str, Any] = {"clusterwide": True} if self._namespaces is None else {"namespaces": self._namespaces}
        await kopf.operator(registry=registry, settings=_settings(), standalone=True, stop_flag=self._stop, **scope)

    def _take(self, type: str | None, obj: Json) -> None:
        if type == "DELETED":
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


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.networking.request_timeout = 30
    for noisy in ("kopf", "kopf.objects", "kopf.activities"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It says that it leaves signals alone, which is what it should do.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    return settings


def _settle(ended: "asyncio.Future[None]", error: BaseException | None) -> None:
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error if isinstance(error, Exception) else RuntimeError(f"the watch ended: {error!r}"))


def _plain(value: Any) -> Any:
    """kopf's read-only views as plain JSON of our own."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value
