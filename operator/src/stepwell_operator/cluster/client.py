"""A small client of the API server: get, list, create, server-side apply, delete. Plain JSON in and out.

ApiError            the API server refused; `status`, `reason` and `causes` as it gave them
WorldUnavailable    no answer, 429 or 5xx: nothing is known to have been done; try again later
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Self

import aiohttp

from ..objects import Json
from ..world import WorldError, WorldUnavailable
from .access import Access

TIMEOUT_SECONDS = 30.0
PAGE = 500


class ApiError(WorldError):
    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body.get("message") or f"HTTP {status}"))
        self.status = status
        self.reason = str(body.get("reason") or "")
        details = body.get("details") or {}
        self.causes: list[Json] = list(details.get("causes") or ())


class Client:
    """One connection pool to one API server; open and close it with `async with`."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self.access.tls or False, limit=16)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str) -> Json | None:
        """None when there is no such object."""
        try:
            return await self._send("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, path: str) -> tuple[list[Json], int]:
        """Every item, page by page, and the resourceVersion up to which the list is complete."""
        items: list[Json] = []
        parameters = {"limit": str(PAGE)}
        while True:
            page = await self._send("GET", path, parameters=parameters)
            for item in page["items"]:
                item.setdefault("apiVersion", page["apiVersion"])
                item.setdefault("kind", page["kind"].removesuffix("List"))
                items.append(item)
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return items, int(metadata.get("resourceVersion") or 0)
            parameters = {"limit": str(PAGE), "continue": metadata["continue"]}

    async def create(self, path: str, body: Json) -> Json:
        return await self._send("POST", path, body=body)

    async def replace(self, path: str, body: Json) -> Json:
        return await self._send("PUT", path, body=body)

    async def apply(self, path: str, body: Json, *, manager: str, force: bool) -> Json:
        """Server-side apply. With `force` false, 409 names the fields that others own."""
        parameters = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self._send(
            "PATCH", path, body=body, parameters=parameters, content_type="application/apply-patch+yaml"
        )

    async def delete(self, path: str, *, uid: str) -> None:
        """Delete the object with this uid; harmless when it is gone or another one has its name."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            await self._send("DELETE", path, body=body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        parameters: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        assert self._session is not None, "the client is not open"
        headers = {"accept": "application/json", "user-agent": "stepwell-operator"}
        if (token := self.access.token()) is not None:
            headers["authorization"] = f"Bearer {token}"
        if body is not None:
            headers["content-type"] = content_type
        try:
            async with self._session.request(
                method,
                f"{self.access.server}{path}",
                params=parameters,
                data=None if body is None else json.dumps(body).encode(),
                headers=headers,
            ) as answer:
                raw = await answer.read()
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise WorldUnavailable(f"{method} {path}: {str(error) or type(error).__name__}") from error
        return _answer(method, path, answer.status, raw)


def _answer(method: str, path: str, status: int, raw: bytes) -> Json:
    try:
        found: Any = json.loads(raw) if raw else {}
    except ValueError:
        found = {"message": raw[:200].decode(errors="replace")}
    body: Json = found if isinstance(found, dict) else {}
    if status == 429 or status >= 500:
        raise WorldUnavailable(f"{method} {path}: HTTP {status}: {body.get('message', '')}")
    if status >= 400:
        raise ApiError(status, body)
    return body
