"""Signing in and out. The token is checked once; afterwards a signed cookie that no script can read stands for it."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from stepwell_engine.errors import InvalidInput, Unauthorized

from .. import schemas
from ..access import LIFETIME
from ..body import read_body
from ..context import Here
from ..guard import COOKIE, signed_in
from ..problems import problem

router = APIRouter(tags=["session"])
_EXAMPLE = {"token": "…"}


@router.get("/session")
async def get_session(here: Here, request: Request) -> schemas.Session:
    """Whether this dashboard asks for a sign-in, and whether this client has signed in."""
    return schemas.Session(required=here.access.required, signed_in=signed_in(here.access, request.headers))


@router.post(
    "/session",
    response_model=schemas.Session,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"example": _EXAMPLE}}}},
)
async def sign_in(here: Here, request: Request) -> Any:
    """Trade the admin token for a session."""
    address = request.client.host if request.client else ""
    wait = here.attempts.retry_after(address)
    if wait is not None:
        detail = f"too many wrong tokens from {address or 'this address'}: try again in {wait:.0f} s"
        return problem(
            429, code="TooManyAttempts", detail=detail, retryable=True, headers={"retry-after": f"{wait:.0f}"}
        )
    token = _token(await read_body(request))
    if here.access.required and not here.access.accepts(token):
        here.attempts.record(address)
        raise Unauthorized("this is not the admin token: it is the value of STEPWELL_ADMIN_TOKEN")
    response = Response(
        _json(schemas.Session(required=here.access.required, signed_in=True)), media_type="application/json"
    )
    response.set_cookie(
        COOKIE,
        here.access.new_session(),
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=_encrypted(request),
    )
    return response


@router.delete("/session", status_code=204)
async def sign_out(request: Request) -> Response:
    """Forget the session on this client."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=_encrypted(request))
    return response


def _token(raw: bytes) -> str:
    try:
        body = orjson.loads(raw)
    except ValueError:
        raise InvalidInput("the body is not JSON") from None
    token = body.get("token") if isinstance(body, dict) else None
    if not isinstance(token, str) or not 0 < len(token) <= 1024:
        raise InvalidInput("must be a text: the value of STEPWELL_ADMIN_TOKEN", field="token")
    return token


def _json(shape: schemas.Shape) -> str:
    return shape.model_dump_json(by_alias=True)


def _encrypted(request: Request) -> bool:
    """Whether the browser came by https, to us or to a proxy before us. A client that lies marks only its own cookie."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "").startswith("https")
