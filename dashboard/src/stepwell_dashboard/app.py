"""The dashboard as one ASGI application, made by `create_app`; importing this does nothing.

It reads and acts through the journal it is handed, which stays the caller's to close. `stop_streams` ends the open streams
and is to be called before a server waits for its connections: a stream never ends by itself.

Raises Misconfigured when there is neither an admin token nor dev mode on loopback.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Lifespan

from stepwell_engine.errors import StepwellError
from stepwell_engine.journal import Journal

from . import problems, schemas
from .access import Access, Attempts, Settings
from .api import declared, events, runs, session, stats, stream
from .context import Context
from .figures import Figures
from .guard import Guard
from .spa import PAGE, Page
from .tail import Tail

_DESCRIPTION = "What people and their tools read and do. Errors are RFC 9457 problem documents."


def create_app(
    settings: Settings, journal: Journal, *, work_made: Callable[[], None] | None = None, page: Path = PAGE
) -> FastAPI:
    """`work_made` is called after each commit that made work for a worker, to save it a poll."""
    access = Access(settings)
    tail = Tail(journal.views)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tail.close()

    app = routes(lifespan=lifespan)
    app.state.context = Context(
        journal=journal,
        tail=tail,
        figures=Figures(journal.views),
        access=access,
        attempts=Attempts(),
        work_made=work_made or (lambda: None),
    )
    app.add_api_route("/healthz", _healthz, include_in_schema=False)
    app.add_api_route("/readyz", _readyz, include_in_schema=False)
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app.add_api_route("/api/{path:path}", _unknown, include_in_schema=False, methods=methods)
    app.mount("/", Page(page))
    app.add_middleware(Guard, access=access)
    return app


def routes(*, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The API's routes alone, from which its OpenAPI document is made."""
    app = FastAPI(
        title="Stepwell",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={"default": {"description": "A problem", "model": schemas.Problem}},
        generate_unique_id_function=_operation_id,
    )
    problems.install(app)
    for part in (runs, stream, events, declared, stats, session):
        app.include_router(part.router, prefix="/api/v1")
    return app


def stop_streams(app: FastAPI) -> None:
    """End every open stream; clients come back, to this process or another."""
    app.state.context.tail.stop()


async def _healthz() -> Response:
    return JSONResponse({"status": "ok"})


async def _readyz(request: Request) -> Response:
    try:
        await request.app.state.context.journal.views.horizon()
    except StepwellError as error:
        return problems.problem(503, code=error.code, detail=str(error), retryable=True)
    return JSONResponse({"status": "ready"})


async def _unknown(request: Request) -> Response:
    detail = f"{request.method} {request.url.path} is not here: /api/v1/openapi.json lists what is"
    return problems.problem(404, code="NotFound", detail=detail)


def _operation_id(route: APIRoute) -> str:
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)
