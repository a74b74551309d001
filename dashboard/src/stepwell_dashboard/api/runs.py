"""Runs: listed, read, started, cancelled, resumed, run again; and their payloads, whole."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.responses import PlainTextResponse

from stepwell_engine.errors import NotFound
from stepwell_engine.gateway.requests import read_start
from stepwell_engine.journal.run_filter import RunFilter

from .. import present, schemas
from ..body import read_body
from ..clock import now
from ..context import Here, Text
from .filters import run_filter

router = APIRouter(tags=["runs"])
_EXAMPLE = {"function": "order", "input": {"orderId": "o-1"}, "labels": {"tenant": "acme"}, "idempotencyKey": "o-1"}
Ordinal = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/runs")
async def list_runs(
    here: Here,
    where: Annotated[RunFilter, Depends(run_filter)],
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schemas.RunList:
    """Runs, newest first. `before` is the `next` of the page before."""
    cursor = await here.journal.views.horizon()
    found = await here.journal.views.list_runs(where, before=before, limit=limit + 1)
    page = found[:limit]
    return schemas.RunList(
        items=[present.run(row) for row in page],
        next=page[-1].id if len(found) > limit else None,
        cursor=str(cursor),
        server_time=now(),
    )


@router.post(
    "/runs",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"example": _EXAMPLE}}}},
)
async def start_run(here: Here, request: Request, response: Response, app: Text) -> schemas.Started:
    """Start a run in an app. 200 instead of 201: the idempotency key had started it already."""
    body = read_start(await read_body(request))
    run_id, fresh = await here.journal.intake.start_run(
        app,
        kind=body.kind,
        name=body.name,
        input=body.input,
        labels=body.labels,
        idempotency_key=body.idempotency_key,
    )
    here.work_made()
    response.status_code = 201 if fresh else 200
    return schemas.Started(id=run_id, created=fresh)


@router.get("/runs/{id}")
async def get_run(here: Here, id: UUID) -> schemas.RunDetail:
    """A run with the beginning of its journal; the stream goes on from `ordinal`."""
    record = await here.journal.views.read_run(id)
    if record is None:
        raise _missing(id)
    return present.detail(record)


@router.get("/runs/{id}/payloads/{part}", response_class=PlainTextResponse)
async def get_run_payload(here: Here, id: UUID, part: Literal["input", "output", "error"]) -> Response:
    """A payload of the run, byte for byte as it was journaled."""
    return _whole(await here.journal.views.run_payload(id, part=part), f"run {id} has no {part}")


@router.get("/runs/{id}/entries/{ordinal}/{part}", response_class=PlainTextResponse)
async def get_entry_payload(here: Here, id: UUID, ordinal: Ordinal, part: Literal["data", "error"]) -> Response:
    """A payload of one journal entry, byte for byte."""
    found = await here.journal.views.entry_payload(id, ordinal=ordinal, part=part)
    return _whole(found, f"entry {ordinal} of run {id} has no {part}")


@router.post("/runs/{id}/cancel")
async def cancel_run(here: Here, id: UUID, force: bool = False) -> schemas.Cancelled:
    """Cancel a run. A workflow undoes its completed steps first, unless forced."""
    outcome = await here.journal.control.cancel(id, force=force)
    here.work_made()
    return schemas.Cancelled.model_validate({"outcome": outcome})


@router.post("/runs/{id}/resume", status_code=204)
async def resume_run(here: Here, id: UUID) -> None:
    """Let a paused run go on."""
    await here.journal.control.resume(id)
    here.work_made()


@router.post("/runs/{id}/rerun", status_code=201)
async def rerun(here: Here, id: UUID) -> schemas.Started:
    """Start a new run with the same input on the active revision."""
    started = schemas.Started(id=await here.journal.control.rerun(id))
    here.work_made()
    return started


def _missing(run_id: UUID) -> NotFound:
    return NotFound(f"no run has the id {run_id}: it may have been removed by retention")


def _whole(payload: bytes | None, otherwise: str) -> Response:
    if payload is None:
        raise NotFound(otherwise)
    return PlainTextResponse(payload)
