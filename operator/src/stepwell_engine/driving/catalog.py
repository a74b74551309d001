"""Apps and revisions as a worker needs them, kept between leases.

A revision never changes, so it is read once. An app is read again when a claim brings another generation of it than the one
at hand; every change of an app or of what it declares raises that number in the same transaction.
"""

from collections import OrderedDict

import orjson

from ..definition import FunctionSpec, WorkflowSpec, parse_function, parse_workflow
from ..journal import Definitions
from ..model import App, Kind

_MOST_REVISIONS = 2048
_MOST_APPS = 1024


class Catalog:
    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._apps: OrderedDict[str, App] = OrderedDict()
        self._revisions: OrderedDict[tuple[int, int], FunctionSpec | WorkflowSpec] = OrderedDict()

    async def app(self, app_id: str, *, generation: int) -> App:
        """Raises NotFound for an app that is gone."""
        found = self._apps.get(app_id)
        if found is None or found.generation < generation:
            found = self._apps[app_id] = await self._definitions.get_app(app_id)
            if len(self._apps) > _MOST_APPS:
                self._apps.popitem(last=False)
        return found

    async def revision(self, definition_id: int, number: int) -> FunctionSpec | WorkflowSpec:
        """Raises NotFound."""
        found = self._revisions.get((definition_id, number))
        if found is None:
            revision = await self._definitions.get_revision(definition_id, number)
            parse = parse_function if revision.kind == Kind.FUNCTION else parse_workflow
            found = self._revisions[definition_id, number] = parse(orjson.loads(revision.document), name=revision.name)
            if len(self._revisions) > _MOST_REVISIONS:
                self._revisions.popitem(last=False)
        return found

    def known_rooms(self, in_flight: dict[str, int]) -> dict[str, int]:
        """How many more calls each app that is being called can take."""
        return {
            app_id: self._apps[app_id].max_in_flight - count
            for app_id, count in in_flight.items()
            if app_id in self._apps
        }
