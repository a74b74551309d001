"""Flask in one line:

stepwell.flask.serve(site, app)             # answers the engine at /api/stepwell
"""

from typing import TYPE_CHECKING

import flask

if TYPE_CHECKING:
    from stepwell.app import App


def serve(site: flask.Flask, app: "App", *, path: str = "/api/stepwell") -> None:
    """Answer the engine's requests for `app` at `path` of a Flask application."""
    wsgi = app.wsgi

    def answer() -> flask.Response:
        request = flask.request
        headers = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in request.headers.items()}
        reply = wsgi.answer(request.method, headers, request.get_data(cache=False))
        return flask.Response(reply.body, status=reply.status, headers=reply.headers)

    site.add_url_rule(path, f"stepwell:{app.name}", answer, methods=["GET", "POST"])
