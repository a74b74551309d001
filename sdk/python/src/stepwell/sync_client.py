"""The plain face of `Client`: the same methods, for code without an event loop. Generated from `stepwell.client` by
`sdk/python/tools/sync_client.py`; change it there.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from stepwell.background import BackgroundLoop
from stepwell.client import Client, NewEvent, RunState, StartedRun
from stepwell.settings import Connection
from stepwell_protocol.wire import SentEvent


class SyncClient:
    """Talks to the engine as one app, from plain code. Safe to use from several threads."""

    def __init__(
        self,
        *,
        url: str | None = None,
        app_id: str | None = None,
        signing_key: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Make a client. What is not given comes from STEPWELL_URL, STEPWELL_APP_ID and STEPWELL_SIGNING_KEY."""
        self._client = Client(url=url, app_id=app_id, signing_key=signing_key, timeout=timeout)
        self._background = BackgroundLoop()

    def close(self) -> None:
        """Close the connections and stop the background loop."""
        self._background.run(self._client.close())
        self._background.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, name: str, data: object = None, *, id: str | None = None) -> str:
        """Send an event; returns the engine's id for it, after its commit.

        Raises:
            RequestFailed: the engine refused it, or could not be reached.
        """
        return self._background.run(self._client.send(name, data, id=id))

    def send_encoded(self, event: SentEvent) -> str:
        """Send an event whose data is JSON already; returns the engine's id for it, after its commit.

        Raises:
            RequestFailed: the engine refused it, or could not be reached.
        """
        return self._background.run(self._client.send_encoded(event))

    def send_many(self, events: Sequence[NewEvent]) -> list[str]:
        """Send several events; returns their ids in the same order. Each is accepted or refused on its own.

        Raises:
            RequestFailed: at least one was refused or could not be sent; the others are sent.
        """
        return self._background.run(self._client.send_many(events))

    def start(
        self,
        function: str,
        input: object = None,
        *,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> StartedRun:
        """Start a run of a function by its id.

        Raises:
            RequestFailed: the engine refused, or could not be reached.
        """
        return self._background.run(self._client.start(function, input, labels=labels, idempotency_key=idempotency_key))

    def start_workflow(
        self,
        workflow: str,
        input: object = None,
        *,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> StartedRun:
        """Start a run of a workflow by its name.

        Raises:
            RequestFailed: the engine refused, or could not be reached.
        """
        return self._background.run(
            self._client.start_workflow(workflow, input, labels=labels, idempotency_key=idempotency_key)
        )

    def start_encoded(
        self,
        name: str,
        data: bytes,
        *,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        kind: str = "function",
    ) -> StartedRun:
        """Start a run with an input that is JSON already.

        Raises:
            RequestFailed: the engine refused, or could not be reached.
        """
        return self._background.run(
            self._client.start_encoded(name, data, labels=labels, idempotency_key=idempotency_key, kind=kind)
        )

    def get(self, run_id: str) -> RunState:
        """A run as it stands.

        Raises:
            RequestFailed: this app has no such run, or the engine could not be reached.
        """
        return self._background.run(self._client.get(run_id))

    def wait(self, run_id: str, *, timeout: float | timedelta = 60.0) -> RunState:
        """Look at a run until it has ended.

        Raises:
            TimeoutError: it had not ended in time; it goes on.
            RequestFailed: this app has no such run, or the engine could not be reached.
        """
        return self._background.run(self._client.wait(run_id, timeout=timeout))

    def sync(
        self,
        url: str,
        functions: Sequence[Mapping[str, Any]],
        *,
        sdk: Mapping[str, str],
        capabilities: Sequence[str] = (),
    ) -> None:
        """Tell the engine which functions this app serves, and at which address. It takes effect at once.

        Raises:
            RequestFailed: the engine refused a definition (the message names field and fix), or could not be reached.
        """
        return self._background.run(self._client.sync(url, functions, sdk=sdk, capabilities=capabilities))

    def register(self, name: str, *, environment: str = "dev", admin_token: str | None = None) -> Connection:
        """Make an app, or find it: the same name and environment give the same app. From here on, speak as this app.

        Raises:
            RequestFailed: the admin token is wrong, or the engine could not be reached.
        """
        return self._background.run(self._client.register(name, environment=environment, admin_token=admin_token))
