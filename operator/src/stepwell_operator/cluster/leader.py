"""One active operator at a time, by a coordination.k8s.io Lease.

Whoever holds the Lease works; it renews well before the time is over and stops working before anybody else may start.
A Lease that was not renewed for its duration, by this process's own clock, is taken over. On a clean stop it is given
back at once. Clocks are never compared between machines: what counts is how long the record has not changed here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from stepwell_engine.clock import Clock

from ..objects import Json
from ..world import WorldError
from .client import ApiError, Client

_log = logging.getLogger("stepwell.operator")

LEASE_NAME = "stepwell-operator"
DURATION_SECONDS = 12.0
RENEW_SECONDS = 3.0
GIVE_UP_SECONDS = 8.0


class Leader:
    """`run` waits for the Lease, calls `lead` while holding it, and ends `lead` when the Lease is lost."""

    def __init__(self, client: Client, *, namespace: str, identity: str, clock: Clock) -> None:
        self._client = client
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self.identity = identity
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)
        self._held: Json | None = None
        self.leading = False

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Returns when `lead` does, or when the Lease was lost: the caller decides whether to stand again."""
        await self._stand()
        _log.info("%s leads", self.identity)
        self.leading = True
        work = asyncio.ensure_future(lead())
        keep = asyncio.create_task(self._keep(), name="lease")
        try:
            await asyncio.wait({work, keep}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leading = False
            for task in (work, keep):
                task.cancel()
            results = await asyncio.gather(work, keep, return_exceptions=True)
            await self._give_back()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _stand(self) -> None:
        """Try at once, then every `RENEW_SECONDS`, until the Lease is ours."""
        taken = await self._try_to_take()
        while not taken:
            await asyncio.sleep(RENEW_SECONDS)
            taken = await self._try_to_take()

    async def _keep(self) -> None:
        """Renew until that was impossible for too long, or somebody else holds it."""
        renewed = self._clock.monotonic()
        while self._clock.monotonic() - renewed < GIVE_UP_SECONDS:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                async with asyncio.timeout(RENEW_SECONDS):
                    if not await self._renew():
                        break
                renewed = self._clock.monotonic()
            except (WorldError, TimeoutError) as error:
                _log.warning("the lease could not be renewed: %s", error)
        _log.warning("%s no longer leads", self.identity)

    async def _try_to_take(self) -> bool:
        try:
            lease = await self._client.get(f"{self._path}/{LEASE_NAME}")
            if lease is None:
                self._held = await self._client.create(self._path, self._body(None))
                return True
            spec = lease.get("spec") or {}
            version = str(lease["metadata"]["resourceVersion"])
            if version != self._seen[0]:
                self._seen = (version, self._clock.monotonic())
            duration = float(spec.get("leaseDurationSeconds") or DURATION_SECONDS)
            stale = self._clock.monotonic() - self._seen[1] > duration
            if spec.get("holderIdentity") and spec["holderIdentity"] != self.identity and not stale:
                return False
            self._held = await self._client.replace(f"{self._path}/{LEASE_NAME}", self._body(lease))
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        except WorldError as error:
            _log.warning("waiting for the lease: %s", error)
            return False
        return True

    async def _renew(self) -> bool:
        assert self._held is not None
        try:
            self._held = await self._client.replace(f"{self._path}/{LEASE_NAME}", self._body(self._held, renew=True))
        except ApiError as error:
            if error.status in (404, 409):
                return False
            raise
        return True

    async def _give_back(self) -> None:
        if self._held is None:
            return
        body = self._body(self._held, renew=True)
        body["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        self._held = None
        try:
            async with asyncio.timeout(RENEW_SECONDS):
                await self._client.replace(f"{self._path}/{LEASE_NAME}", body)
        except (WorldError, TimeoutError):
            _log.info("the lease was not given back; it runs out by itself")

    def _body(self, before: Json | None, *, renew: bool = False) -> Json:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        earlier = (before or {}).get("spec") or {}
        metadata: Json = {"name": LEASE_NAME, "namespace": self._namespace}
        if before is not None:
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": int(DURATION_SECONDS),
                "acquireTime": earlier.get("acquireTime") if renew and earlier.get("acquireTime") else now,
                "renewTime": now,
                "leaseTransitions": int(earlier.get("leaseTransitions") or 0) + (0 if renew or not before else 1),
            },
        }
