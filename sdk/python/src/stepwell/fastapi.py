"""FastAPI and Starlette in one line:

    stepwell.fastapi.serve(api, app)            # answers the engine at /api/stepwell

A route of its own rather than a mount: a mount answers `POST /api/stepwell` with a redirect to `/api/stepwell/`, which
nobody follows.
"""

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

if TYPE_CHECKING:
    from stepwell.app import App


def serve(api: Starlette, app: "App", *, path: str = "/api/stepwell") -> None:
    """Answer the engine's requests for `app` at `path` of a FastAPI or Starlette application."""
    api.router.routes.append(Route(path, app.asgi, methods=["GET", "POST"], include_in_schema=False))
