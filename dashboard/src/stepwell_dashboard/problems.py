"""Errors as RFC 9457 problem documents.

What the engine raises keeps its own status and code; a request that can't be read is 400 and names the field, the reason and
the fix. What is unforeseen never comes here: the guard answers 500 for it.
"""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from stepwell_engine.errors import InvalidInput, StepwellError

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    retryable: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
    }
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def install(app: FastAPI) -> None:
    @app.exception_handler(StepwellError)
    async def engine(_: Request, error: StepwellError) -> Response:
        field = error.field if isinstance(error, InvalidInput) else None
        errors = [{"field": field, "message": str(error)}] if field else None
        headers = {"retry-after": "2"} if error.retryable else {}
        return problem(
            error.status, code=error.code, detail=str(error), errors=errors, retryable=error.retryable, headers=headers
        )

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> Response:
        errors = [{"field": _place(found["loc"]), "message": str(found["msg"])} for found in error.errors()]
        detail = "; ".join(f"{found['field']}: {found['message']}" for found in errors)
        return problem(400, code="InvalidInput", detail=detail, errors=errors)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.replace(" ", "")
        return problem(error.status_code, code=code, detail=str(error.detail), headers=error.headers)


def _place(loc: tuple[int | str, ...] | list[int | str]) -> str:
    """`query.limit`, `body.labels.0`."""
    return ".".join(str(part) for part in loc) or "request"
