"""The query parameters of the runs list and its stream, read into a `RunFilter`."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import Query

from stepwell_engine.errors import InvalidInput
from stepwell_engine.journal.run_filter import RunFilter

from ..context import Text
from ..schemas import Activity, Kind, Status

_IDENTITY = re.compile(r"[0-9a-f]{1,8}(-?[0-9a-f]{1,12}){0,8}-?", re.IGNORECASE)
_MOST = 16


def run_filter(
    *,
    status: Annotated[list[Status] | None, Query(max_length=_MOST)] = None,
    activity: Annotated[list[Activity] | None, Query(max_length=_MOST)] = None,
    kind: Kind | None = None,
    app: Text | None = None,
    definition: Text | None = None,
    event: Text | None = None,
    event_id: Annotated[UUID | None, Query(alias="eventId")] = None,
    label: Annotated[list[Text] | None, Query(max_length=_MOST, description="key=value; all must match")] = None,
    id: Annotated[Text | None, Query(description="a run's id or the beginning of one")] = None,
) -> RunFilter:
    return RunFilter(
        status=tuple(status or ()),
        activity=tuple(activity or ()),
        kind=kind,
        app=app,
        definition=definition,
        event=event,
        event_id=event_id,
        labels=dict(_label(item) for item in label or ()),
        id_prefix=_prefix(id) if id else "",
    )


def _label(item: str) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    if not key or not equals:
        raise InvalidInput(f"{item!r} is not a label: write it as key=value", field="label")
    return key, value


def _prefix(text: str) -> str:
    if _IDENTITY.fullmatch(text) is None or len(text.replace("-", "")) > 32:
        raise InvalidInput(f"{text[:64]!r} is not the beginning of a run's id: 1 to 32 hexadecimal digits", field="id")
    return text
