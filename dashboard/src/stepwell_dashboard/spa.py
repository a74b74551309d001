"""The page: one index.html for every address that is not a file and not the API, so that deep links work.

Files whose names carry a hash of their content are kept by browsers for ever, index.html never. Where the page has not
been built, the API works and the page says in one sentence what to do.
"""

from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

PAGE = Path(__file__).parent / "page"
_NOT_BUILT = (
    "The dashboard's page has not been built, only its API is here.\n"
    "In a checkout run `make setup`; an installed wheel carries the page.\n"
)


class Page:
    def __init__(self, folder: Path = PAGE) -> None:
        self._folder = folder
        self._files = StaticFiles(directory=folder, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = self._response(scope)
        await response(scope, receive, send)

    def _response(self, scope: Scope) -> Response:
        path = str(scope["path"])
        index = self._folder / "index.html"
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Only GET here; the API is under /api/v1.\n", 405, headers={"allow": "GET, HEAD"})
        if not index.is_file():
            return PlainTextResponse(_NOT_BUILT, 503)
        found, status = self._files.lookup_path(path.lstrip("/")) if "\0" not in path else ("", None)
        if status is not None and Path(found).is_file():
            age = "public, max-age=31536000, immutable" if path.startswith("/assets/") else "no-cache"
            response = self._files.file_response(found, status, scope)
            response.headers["cache-control"] = age
            return response
        if path.startswith("/assets/") or not _wants_page(Headers(scope=scope)):
            return PlainTextResponse("There is no such file.\n", 404)
        return FileResponse(index, headers={"cache-control": "no-store"})


def _wants_page(headers: Headers) -> bool:
    accept = headers.get("accept", "*/*")
    return "text/html" in accept or "*/*" in accept
