"""The full list-and-compare: finds what a watch missed, deletions above all, and clears away what nobody declares any more.

One pass lists every object as it is now, makes the store equal to that, has every difference reconciled, and then looks
at what the journal holds on behalf of resources: an app, definition or schedule whose object is gone is retired. Only
rows that carry a resource's uid are touched; what an app announced by itself is none of the sweep's business. Nothing is
retired on the strength of a list that failed.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stepwell_engine.errors import Conflict, NotFound
from stepwell_engine.journal.run_filter import RunFilter
from stepwell_engine.model import App, Status

from .context import Context
from .objects import Json, Key, is_being_deleted, spec_of, uid_of
from .resources import KIND_BY_NAME

_log = logging.getLogger("stepwell.operator")

CANCELLED_AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """What a pass found: how many keys the watch had missed, and what it retired, in words."""

    missed: int
    retired: tuple[str, ...]


class Sweep:
    """`enqueue` has keys reconciled. `everywhere`: whether the world lists all namespaces, else only `namespaces`."""

    def __init__(
        self, context: Context, *, enqueue: Callable[[Iterable[Key]], None], namespaces: frozenset[str] | None = None
    ) -> None:
        self._context = context
        self._enqueue = enqueue
        self._namespaces = namespaces
        self._orphaned: set[str] = set()

    def note_deletion(self, obj: Json) -> None:
        """Remember what a deleted app wanted for its runs: after its deletion nobody can be asked."""
        if obj["kind"] == "StepwellApp" and spec_of(obj).get("deletionPolicy") == "Orphan":
            self._orphaned.add(uid_of(obj))

    async def run(self) -> Swept:
        """One pass. Raises WorldError or Unavailable, and has then retired nothing it was not sure of."""
        world = self._context.world
        before = {uid_of(obj): obj for obj in world.store.list("StepwellApp")}
        listing = await world.list_all()
        missed = world.store.replace(listing.objects, listing.versions)
        for uid in set(before) - {uid_of(obj) for obj in world.store.list("StepwellApp")}:
            self.note_deletion(before[uid])
        self._enqueue(listing.objects)
        retired = await self._retire()
        for words in retired:
            _log.info("retired %s: its object is gone", words)
        return Swept(missed=len(missed), retired=tuple(retired))

    async def _retire(self) -> list[str]:
        store = self._context.world.store
        present = [obj for kind in KIND_BY_NAME for obj in store.list(kind)]
        live = {uid_of(obj) for obj in present if not is_being_deleted(obj)}
        definitions = self._context.journal.definitions
        retired: list[str] = []
        touched: set[str] = set()
        for summary in await self._context.journal.views.list_apps():
            if self._namespaces is not None and summary.namespace not in self._namespaces:
                continue
            app = await definitions.get_app(summary.id)
            if app.resource_uid is not None and app.resource_uid not in live:
                await self._remove_app(app)
                retired.append(f"StepwellApp {app.namespace}/{app.name}")
                continue
            for definition in await definitions.list_definitions(app.id):
                if definition.retired or definition.source != "resource" or definition.resource_uid in live:
                    continue
                if await definitions.remove_definition(app.id, kind=definition.kind, name=definition.name):
                    retired.append(f"{definition.kind} {definition.name}")
                    touched.add(app.resource_uid or "")
        retired += await self._retire_schedules()
        self._serve_again(touched)
        self._forget(live)
        return retired

    def _forget(self, live: set[str]) -> None:
        """What is remembered about objects goes with them."""
        for memory in (self._context.probes, self._context.schedules):
            for uid in set(memory) - live:
                del memory[uid]

    async def _retire_schedules(self) -> list[str]:
        retired: list[str] = []
        for schedule in await self._context.journal.views.list_schedules():
            if schedule.source != "resource":
                continue
            if self._namespaces is not None and schedule.app_namespace not in self._namespaces:
                continue
            obj = self._context.world.store.get(Key("Schedule", schedule.app_namespace, schedule.name))
            if obj is not None and not is_being_deleted(obj):
                continue
            if await self._context.journal.definitions.remove_schedule(schedule.app_id, name=schedule.name):
                retired.append(f"schedule {schedule.name}")
        return retired

    async def _remove_app(self, app: App) -> None:
        """Retire an app; its active runs are cancelled unless its object said Orphan. An operator that was away when the
        object went can't know, and leaves runs alone rather than end what somebody wanted to keep."""
        known = app.resource_uid in self._context.probes
        if known and app.resource_uid not in self._orphaned:
            await self._cancel_runs(app)
        await self._context.journal.definitions.remove_app(app.id)
        if app.resource_uid is not None:
            self._orphaned.discard(app.resource_uid)

    async def _cancel_runs(self, app: App) -> None:
        while True:
            where = RunFilter(app=app.id, status=(Status.ACTIVE,))
            runs = await self._context.journal.views.list_runs(where, limit=CANCELLED_AT_A_TIME)
            for run in runs:
                with contextlib.suppress(Conflict, NotFound):
                    await self._context.journal.control.cancel(run.id, force=True)
            if len(runs) < CANCELLED_AT_A_TIME:
                return

    def _serve_again(self, app_uids: set[str]) -> None:
        """What an author no longer declares is the app's own to declare again."""
        for uid in app_uids & self._context.probes.keys():
            self._context.probes[uid].synced = None
        for obj in self._context.world.store.list("StepwellApp"):
            if uid_of(obj) in app_uids:
                self._enqueue([Key("StepwellApp", obj["metadata"].get("namespace", ""), obj["metadata"]["name"])])
