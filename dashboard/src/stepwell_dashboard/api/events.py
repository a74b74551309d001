"""Events: listed with the runs each started, sent, and their data, whole."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import PlainTextResponse

from stepwell_engine.errors import NotFound
from stepwell_engine.gateway.requests import read_event
from stepwell_engine.model import NewEvent

from .. import present, schemas
from ..body import read_body
from ..context import Here, Text

router = APIRouter(tags=["events"])
_EXAMPLE = {"name": "order.paid", "data": {"orderId": "o-1"}, "id": "payment-77"}


@router.get("/events")
async def list_events(
    here: Here,
    app: Text | None = None,
    name: Text | None = None,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schemas.EventList:
    """Events, newest first. `before` is the `next` of the page before."""
    found = await here.journal.views.list_events(app=app, name=name, before=before, limit=limit + 1)
    page = found[:limit]
    return schemas.EventList(
        items=[present.event(row) for row in page], next=page[-1].id if len(found) > limit else None
    )


@router.post(
    "/events",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"example": _EXAMPLE}}}},
)
async def send_event(here: Here, request: Request, app: Text) -> schemas.AcceptedEvent:
    """Send an event into an app; answered after the commit."""
    body = read_event(await read_body(request))
    await here.journal.definitions.get_app(app)
    event = NewEvent(app_id=app, name=body.name, data=body.data, deduplicate=body.id)
    (accepted,) = await here.journal.intake.accept_events([event])
    here.work_made()
    return schemas.AcceptedEvent(id=accepted.event_id, runs=list(accepted.run_ids), duplicate=accepted.duplicate)


@router.get("/events/{id}")
async def get_event(here: Here, id: UUID) -> schemas.Event:
    found = await here.journal.views.list_events(event_id=id, limit=1)
    if not found:
        raise NotFound(f"no event has the id {id}: it may have been removed by retention")
    return present.event(found[0])


@router.get("/events/{id}/data", response_class=PlainTextResponse)
async def get_event_data(here: Here, id: UUID) -> Response:
    """The event's data, byte for byte as it was accepted."""
    data = await here.journal.views.event_payload(id)
    if data is None:
        raise NotFound(f"no event has the id {id}: it may have been removed by retention")
    return PlainTextResponse(data)
