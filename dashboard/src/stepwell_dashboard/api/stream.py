"""The two live streams: all runs, and one run.

`/stream` follows every run in the order of (changed, id) below the oldest transaction in progress; a message holds the
runs that changed and match the filter, and the ids of those that changed and don't. A run that changes twice between two
readings is told once, as it is then. `/runs/{id}/stream` follows one run's journal by its ordinal: every entry once, in
the order they were committed in, and with each message the run as it stands; the first comes at once.

A cursor from another database (restored, moved) lies ahead of every transaction: the stream says `resync`, the client reads
the list anew, and nothing is silently missed.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from starlette.responses import StreamingResponse

from stepwell_engine.errors import InvalidInput, NotFound
from stepwell_engine.journal.run_filter import RunFilter
from stepwell_engine.journal.summaries import Cursor

from .. import present, schemas, sse
from ..clock import now
from ..context import Context, Here, Text
from .filters import run_filter

router = APIRouter(tags=["streams"])
_PAGE = 200
LastEventId = Annotated[Text | None, Header()]


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


_RUNS: dict[int | str, dict[str, Any]] = {200: {"model": schemas.RunsChange, "description": "`runs` messages"}}
_RUN: dict[int | str, dict[str, Any]] = {200: {"model": schemas.RunChange, "description": "`change` messages"}}


@router.get("/stream", response_class=EventStream, responses=_RUNS)
async def stream_runs(
    here: Here,
    where: Annotated[RunFilter, Depends(run_filter)],
    after: Annotated[Text | None, Query(description="the list's `cursor`")] = None,
    last_event_id: LastEventId = None,
) -> StreamingResponse:
    """Changes of runs: `runs` messages, or one `resync`. `Last-Event-ID` goes before `after`; without both, from now on."""
    given = last_event_id or after
    newest = await here.journal.views.horizon()
    cursor = newest if given is None else _cursor(given)
    if cursor.changed > newest.changed:
        return sse.response(_resync(newest))
    return sse.response(_runs(here, where, cursor))


@router.get("/runs/{id}/stream", response_class=EventStream, responses=_RUN)
async def stream_run(
    here: Here,
    id: UUID,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="the run's `ordinal`")] = 0,
    last_event_id: LastEventId = None,
) -> StreamingResponse:
    """A run's journal after an ordinal: `change` messages. `Last-Event-ID` goes before `after`."""
    ordinal = after if last_event_id is None else _ordinal(last_event_id)
    if await here.journal.views.get_run(id) is None:
        raise NotFound(f"no run has the id {id}: it may have been removed by retention")
    return sse.response(_run(here, id, ordinal))


async def _runs(here: Context, where: RunFilter, cursor: Cursor) -> AsyncIterator[bytes]:
    async def read() -> AsyncIterator[sse.Message]:
        nonlocal cursor
        rows = await here.journal.views.runs_changed(cursor, limit=_PAGE)
        if rows:
            cursor = rows[-1].cursor
            shown = schemas.RunsChange(
                runs=[present.run(row) for row in rows if where.matches(row)],
                left=[row.id for row in rows if not where.matches(row)],
                server_time=now(),
            )
            yield sse.Message(event="runs", data=shown, id=str(cursor), more=len(rows) == _PAGE)

    with here.tail.watch(None) as watcher:
        async for part in sse.follow(read, watcher):
            yield part


async def _run(here: Context, run_id: UUID, ordinal: int) -> AsyncIterator[bytes]:
    async def read() -> AsyncIterator[sse.Message]:
        nonlocal ordinal
        record = await here.journal.views.read_run(run_id, after=ordinal, limit=_PAGE)
        if record is None:
            watcher.closing = True
            return
        ordinal = record.ordinal
        yield sse.Message(event="change", data=present.change(record), id=str(ordinal), more=record.more)

    with here.tail.watch(run_id) as watcher:
        async for part in sse.follow(read, watcher):
            yield part


async def _resync(newest: Cursor) -> AsyncIterator[bytes]:
    nothing = schemas.RunsChange(runs=[], left=[], server_time=now())
    yield sse.Message(event="resync", data=nothing, id=str(newest)).encode()


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except ValueError:
        raise InvalidInput(
            f"{text[:64]!r} is not a cursor: send the list's `cursor` or an event's id", field="after"
        ) from None


def _ordinal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput(f"{text[:64]!r} is not an ordinal: send an event's id", field="last-event-id")
    return int(text)
