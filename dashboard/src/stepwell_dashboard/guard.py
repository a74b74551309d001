"""The gate in front of every request: host, origin, sign-in; and the headers on every response.

Order: without a token, only a loopback Host is served (DNS rebinding). A request that could change something must come from
this page or from a program: a foreign Origin or Sec-Fetch-Site is refused, and with a session cookie one of the two must
be there. Everything under /api needs a bearer token or a session, but for the session itself. The page and its files
hold no data and are open, for they show the sign-in.

A refusal is a problem document and reaches no route. Streams pass through untouched: this is plain ASGI, nothing is
buffered. Whatever a route did not foresee is a 500 that says nothing of its inside: the log has the traceback.
"""

import logging
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access, is_loopback
from .problems import problem

_log = logging.getLogger(__name__)
COOKIE = "stepwell_session"
_UNFORESEEN = "something went wrong here: the dashboard's log says what"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = frozenset({"/api/v1/session"})

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refusal is not None:
            status, code, detail = refusal
            challenge = {"www-authenticate": "Bearer"} if status == 401 else {}
            await problem(status, code=code, detail=detail, headers=challenge)(scope, receive, guarded)
            return
        try:
            await self._app(scope, receive, guarded)
        except Exception:  # noqa: BLE001 - the last resort: it is logged, and no traceback reaches a client
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if not started:
                await problem(500, code="InternalError", detail=_UNFORESEEN)(scope, receive, guarded)

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str, str] | None:
        host = headers.get("host", "")
        if not self._access.required and not is_loopback(_hostname(host)):
            detail = f"this dashboard has no admin token and answers to localhost only, not to {host!r}: set one"
            return 403, "ForeignHost", detail
        session = session_of(headers)
        if method not in _SAFE:
            reason = _foreign(headers, host, proof=session is not None)
            if reason is not None:
                return 403, "ForeignOrigin", reason
        if self._access.required and path.startswith("/api/") and path not in _OPEN and not self.signed_in(headers):
            return 401, "Unauthorized", "sign in, or send the admin token as `Authorization: Bearer …`"
        return None

    def signed_in(self, headers: Headers) -> bool:
        return signed_in(self._access, headers)


def signed_in(access: Access, headers: Headers) -> bool:
    """Whether a bearer token or a session, if one is needed, is there and good."""
    if not access.required:
        return True
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return access.accepts(token.strip())
    session = session_of(headers)
    return session is not None and access.holds(session)


def session_of(headers: Headers) -> str | None:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[COOKIE].value if COOKIE in cookies else None


def _foreign(headers: Headers, host: str, *, proof: bool) -> str | None:
    """Why a request that may change something does not come from this page. `proof`: it must show that it does."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return f"a request from {origin} can't act here: open the dashboard at its own address"
    if site is not None and site not in ("same-origin", "none"):
        return "a request from another site can't act here: open the dashboard at its own address"
    if proof and origin is None and site is None:
        return "a session needs an Origin header to act: a program sends the admin token as a bearer token instead"
    return None


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
