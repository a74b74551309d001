"""Django in one line, in urls.py:

path("api/stepwell", stepwell.django.view(app))
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.views.decorators.csrf import csrf_exempt  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from stepwell.app import App


def view(app: "App") -> Callable[[HttpRequest], HttpResponse]:
    """A view that answers the engine's requests for `app`. They are signed, so it is exempt from CSRF tokens."""
    wsgi = app.wsgi

    def answer(request: HttpRequest) -> HttpResponse:
        headers = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in request.headers.items()}
        reply = wsgi.answer(request.method or "GET", headers, request.body)
        return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))

    exempt: Callable[[HttpRequest], HttpResponse] = csrf_exempt(answer)
    return exempt
