"""What has been declared: apps, definitions with their revisions, schedules."""

from typing import Annotated

from fastapi import APIRouter, Path

from stepwell_engine.errors import NotFound

from .. import present, schemas
from ..clock import now
from ..context import Here, Text

router = APIRouter(tags=["declared"])


@router.get("/apps")
async def list_apps(here: Here) -> schemas.AppList:
    return schemas.AppList(items=[present.app(row) for row in await here.journal.views.list_apps()])


@router.get("/definitions")
async def list_definitions(here: Here, app: Text | None = None) -> schemas.DefinitionList:
    found = await here.journal.views.list_definitions(app=app)
    return schemas.DefinitionList(items=[present.definition(row) for row in found])


@router.get("/definitions/{id}")
async def get_definition(here: Here, id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> schemas.DefinitionDetail:
    """A definition with its newest revisions."""
    found = await here.journal.views.get_definition(id)
    if found is None:
        raise NotFound(f"no definition has the id {id}: its app may have been removed")
    revisions = await here.journal.views.list_revisions(id)
    return present.definition_detail(found, [present.revision(row) for row in revisions])


@router.get("/schedules")
async def list_schedules(here: Here, app: Text | None = None) -> schemas.ScheduleList:
    found = await here.journal.views.list_schedules(app=app)
    return schemas.ScheduleList(items=[present.schedule(row) for row in found], server_time=now())
