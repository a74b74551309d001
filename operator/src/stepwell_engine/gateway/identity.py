"""Who is asking: an app by its signature, or an administrator by the token.

An app names itself in `x-durable-app` and signs the body, by the timed signature or, where the app allows it, by version 1's.
Apps are kept for some seconds; a signature that doesn't fit is tried once more with the keys as they are now, so a rotated key
works at once. The admin token is compared in constant time; without one, `/api/apps` is open only in dev mode and only to
loopback.
"""

import hashlib
import hmac
import ipaddress

from stepwell_protocol import headers
from stepwell_protocol.signing import SignatureRefused, sign_v1, sign_v2, verify_v1, verify_v2

from ..clock import Clock
from ..errors import NotFound, Unauthorized
from ..journal import Definitions
from ..model import App
from .http import Answer, Request

_FRESH = 2.0
_MOST_APPS = 4096


class Identity:
    def __init__(self, definitions: Definitions, *, admin_token: str | None, dev: bool, clock: Clock) -> None:
        self._definitions = definitions
        self._admin_token = admin_token
        self._dev = dev
        self._clock = clock
        self._apps: dict[str, tuple[float, App]] = {}

    async def app(self, request: Request) -> App:
        """The app that signed this request. Raises Unauthorized."""
        app_id = request.header(headers.APP)
        if not app_id or len(app_id) > 64:
            raise Unauthorized(f"the header {headers.APP} must name the app")
        known, now = self._apps.get(app_id), self._clock.monotonic()
        if known is not None and self._refusal(known[1], request) is None:
            if now - known[0] < _FRESH:
                return known[1]
            # One asks anew; who comes meanwhile goes on with what is known.
            self._apps[app_id] = (now, known[1])
        try:
            app = await self._definitions.get_app(app_id)
        except NotFound:
            self.forget(app_id)
            raise Unauthorized(
                f"no app {app_id!r} signs here: {headers.APP} and the signature must be of an app that is registered"
            ) from None
        refusal = self._refusal(app, request)
        if refusal is not None:
            raise Unauthorized(refusal)
        if len(self._apps) > _MOST_APPS:
            self._apps.clear()
        self._apps[app_id] = (self._clock.monotonic(), app)
        return app

    def forget(self, app_id: str) -> None:
        self._apps.pop(app_id, None)

    def admin(self, request: Request) -> None:
        """Raises Unauthorized unless the request may register apps."""
        if self._admin_token is None:
            if self._dev and _is_loopback(request.client):
                return
            raise Unauthorized(
                "registering apps needs the admin token: set STEPWELL_ADMIN_TOKEN and send it as `authorization: Bearer …`"
            )
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._admin_token.encode()):
            raise Unauthorized("the admin token is missing or wrong: send it as `authorization: Bearer …`")

    def signed(self, app: App, answer: Answer, request: Request) -> Answer:
        """Answers to apps are signed in the way the request was."""
        if request.header(headers.SIGNATURE) is not None:
            signature = (
                headers.SIGNATURE.encode(),
                sign_v2(answer.body, app.signing_keys, now=self._clock.time()).encode(),
            )
        else:
            signature = (headers.SIGNATURE_V1.encode(), sign_v1(answer.body, app.signing_keys[0]).encode())
        return Answer(answer.status, answer.body, (*answer.headers, signature))

    def _refusal(self, app: App, request: Request) -> str | None:
        timed = request.header(headers.SIGNATURE)
        if timed is not None:
            try:
                verify_v2(request.body, timed, app.signing_keys, now=self._clock.time())
            except SignatureRefused as error:
                return str(error)
            return None
        if app.timed_signature_only:
            return f"app {app.id} accepts only the timed signature: send {headers.SIGNATURE}"
        if verify_v1(request.body, request.header(headers.SIGNATURE_V1), app.signing_keys):
            return None
        return f"the signature is missing or wrong: send {headers.SIGNATURE_V1} over the raw body with app {app.id}'s signing key"


def timed_signature(request: Request) -> str | None:
    """What tells a request that was signed by the timed signature from every other one: the same a second time is a replay."""
    signature = request.header(headers.SIGNATURE)
    return None if signature is None else f"signature {hashlib.sha256(signature.encode()).hexdigest()}"


def _is_loopback(client: str) -> bool:
    try:
        return ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False
