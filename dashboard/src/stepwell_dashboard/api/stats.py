"""The figures above the list."""

from fastapi import APIRouter

from .. import schemas
from ..context import Here, Text

router = APIRouter(tags=["stats"])


@router.get("/stats")
async def get_stats(here: Here, app: Text | None = None) -> schemas.Stats:
    """Counts by state, and runs by the minute they were created in."""
    return await here.figures.of(app)
