"""Apps, definitions, revisions, triggers and schedules: what has been declared.

Every change of one app's definitions is one transaction under that app's row and raises its `generation`, by which caches
elsewhere notice it. Declaring the same thing twice changes nothing: a document equal to the active revision makes no new
one, and one equal to an earlier revision takes that up again. A definition owned by a resource is never overwritten by what
the app says in `sync`.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row

from ..clock import Ids
from ..definition import CronTrigger, EventTrigger, FunctionSpec, WorkflowSpec, canonical
from ..errors import Conflict, NotFound
from ..model import App, AppSettings, Definition, Kind
from ..sealing import Sealer
from .database import Connection, Database, statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A definition as somebody declares it: its parsed spec and the document that was parsed."""

    kind: Kind
    name: str
    spec: FunctionSpec | WorkflowSpec
    document: Mapping[str, object]
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    definition: Definition
    changed: bool
    """A new revision was made or another one became active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    kind: Kind
    name: str
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    id: int
    next_at: datetime | None
    last_at: datetime | None
    last_run: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What an app says of itself."""

    url: str | None = None
    protocol: int = 1
    checkpointing: bool = False
    shared_calls: bool = False
    sdk: Mapping[str, object] | None = None


class Definitions:
    def __init__(self, database: Database, *, sealer: Sealer, ids: Ids) -> None:
        self._database = database
        self._sealer = sealer
        self._ids = ids

    async def put_app(self, settings: AppSettings) -> App:
        """Make the app of this (namespace, name, environment), or bring it up to `settings`. Without signing keys a new app
        gets one of its own and an existing one keeps its keys; without a URL the known one stays."""
        async with self._database.transaction() as connection:
            found = await self._find(connection, settings.namespace, settings.name, settings.environment)
            if found is None:
                app_id = f"app_{self._ids.uuid7().hex[-20:]}"
                keys = settings.signing_keys or (new_signing_key(),)
                await connection.execute(
                    statement("definitions/insert_app"),
                    {**_columns(settings), "id": app_id, "signing_keys": self._sealer.seal(keys, app_id=app_id)},
                )
                found = await self._find(connection, settings.namespace, settings.name, settings.environment)
                if found is None:
                    raise Conflict(
                        f"app {settings.name} ({settings.environment}) is being made by somebody else: try again"
                    )
            await self._update(connection, found, settings)
            found = await self._find(connection, settings.namespace, settings.name, settings.environment)
        assert found is not None
        return found

    async def get_app(self, app_id: str) -> App:
        """Raises NotFound."""
        async with self._database.connection() as connection:
            app = await self._app(connection, "definitions/get_app", {"id": app_id})
        if app is None:
            raise NotFound(
                f"no app has the id {app_id!r}: take the id that `POST /api/apps` or the StepwellApp's status shows"
            )
        return app

    async def check_data_key(self) -> None:
        """Open one app's keys, if there is an app. Raises BadDataKey: found at the start, not run by run."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(statement("definitions/newest_keys"))).fetchone()
        if row is not None:
            self._sealer.open(row[1], app_id=row[0])

    async def find_app(self, *, namespace: str = "", name: str, environment: str) -> App | None:
        async with self._database.connection() as connection:
            return await self._find(connection, namespace, name, environment)

    async def find_apps(self, *, namespace: str, name: str) -> list[App]:
        """The app in all its environments (normally one)."""
        async with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                statement("definitions/find_apps_of_namespace"), {"namespace": namespace, "name": name}
            )
            return [self._opened(row) for row in await cursor.fetchall()]

    async def remove_app(self, app_id: str) -> bool:
        """Retire the app and all it declared. Its runs are the caller's to cancel or keep. False: it was gone already."""
        async with self._database.transaction() as connection:
            await connection.execute(statement("definitions/retire_all"), {"app_id": app_id})
            return (await connection.execute(statement("definitions/delete_app"), {"id": app_id})).rowcount == 1

    async def database_time(self) -> float:
        """The database's time, in unix seconds: the one that calls go by."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(statement("database/time"))).fetchone()
        assert row is not None
        return float(row[0].timestamp())

    async def record_probe(self, app_id: str, *, error: str | None) -> int:
        """Failures in a row, this one included."""
        async with self._database.connection() as connection:
            row = await (
                await connection.execute(statement("definitions/record_probe"), {"id": app_id, "error": error})
            ).fetchone()
        return int(row[0]) if row else 0

    async def record_served(self, app_id: str, served: Served) -> None:
        async with self._database.transaction() as connection:
            await self._lock(connection, app_id)
            await self._record_served(connection, app_id, served)

    async def put_definition(
        self,
        app_id: str,
        declaration: Declaration,
        *,
        resource_name: str | None = None,
        resource_uid: str | None = None,
    ) -> Declared:
        """Declare one definition through a resource. It takes over a synced one of the same name."""
        async with self._database.transaction() as connection:
            await self._lock(connection, app_id)
            return await self._put(
                connection,
                app_id,
                declaration,
                source="resource",
                resource_name=resource_name,
                resource_uid=resource_uid,
            )

    async def sync(
        self, app_id: str, declarations: Sequence[Declaration], *, served: Served, once: str | None = None
    ) -> list[Declared]:
        """All functions an app serves, at once: those it no longer names stop starting runs, and their runs go on.
        Definitions owned by a resource are left as their author wants them. `once`: the signature of the request that says so.

        Raises Conflict for a request that was accepted before and replaced since."""
        async with self._database.transaction() as connection:
            await self._lock(connection, app_id)
            if once is not None:
                await self._note_sync(connection, app_id, once)
            await self._record_served(connection, app_id, served)
            before = await self._list(connection, app_id)
            owned = {(d.kind, d.name): d for d in before if d.source == "resource" and not d.retired}
            declared = [
                Declared(definition=owned[d.kind, d.name], changed=False)
                if (d.kind, d.name) in owned
                else await self._put(connection, app_id, d, source="sync", resource_name=None, resource_uid=None)
                for d in declarations
            ]
            named = {(d.kind, d.name) for d in declarations}
            gone = [d.id for d in before if d.source == "sync" and not d.retired and (d.kind, d.name) not in named]
            await self._retire(connection, gone)
        return declared

    async def remove_definition(self, app_id: str, *, kind: Kind, name: str) -> bool:
        """False: it was not declared, or retired already."""
        async with self._database.transaction() as connection:
            await self._lock(connection, app_id)
            ids = [d.id for d in await self._list(connection, app_id) if (d.kind, d.name) == (kind, name)]
            return await self._retire(connection, ids) > 0

    async def get_definition(self, app_id: str, *, kind: Kind, name: str) -> tuple[Definition, bytes] | None:
        """The definition with its active revision's document."""
        async with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                statement("definitions/get_definition"), {"app_id": app_id, "kind": kind, "name": name}
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        document = row.pop("document")
        return Definition(**{**row, "kind": Kind(row["kind"])}), document

    async def list_definitions(self, app_id: str) -> list[Definition]:
        async with self._database.connection() as connection:
            return await self._list(connection, app_id)

    async def get_revision(self, definition_id: int, number: int) -> Revision:
        """Raises NotFound."""
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(Revision)) as cursor,
        ):
            await cursor.execute(statement("definitions/get_revision"), {"id": definition_id, "number": number})
            revision = await cursor.fetchone()
        if revision is None:
            raise NotFound(f"definition {definition_id} has no revision {number}")
        return revision

    async def put_schedule(
        self,
        app_id: str,
        *,
        name: str,
        definition_id: int,
        document: Mapping[str, object],
        suspended: bool,
        resource_uid: str | None,
    ) -> ScheduleState:
        """Declare a Schedule resource's schedule. An unchanged one keeps its next instant."""
        async with self._database.transaction() as connection:
            await self._lock(connection, app_id)
            async with connection.cursor(row_factory=class_row(ScheduleState)) as cursor:
                await cursor.execute(
                    statement("definitions/put_schedule"),
                    {
                        "app_id": app_id,
                        "definition_id": definition_id,
                        "name": name,
                        "resource_uid": resource_uid,
                        "document": canonical(document),
                        "suspended": suspended,
                    },
                )
                row = await cursor.fetchone()
        assert row is not None
        return row

    async def get_schedule(self, app_id: str, *, name: str) -> ScheduleState | None:
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(ScheduleState)) as cursor,
        ):
            await cursor.execute(statement("definitions/get_schedule"), {"app_id": app_id, "name": name})
            return await cursor.fetchone()

    async def remove_schedule(self, app_id: str, *, name: str) -> bool:
        async with self._database.connection() as connection:
            return (
                await connection.execute(statement("definitions/remove_schedule"), {"app_id": app_id, "name": name})
            ).rowcount == 1

    # Inside a transaction

    async def _put(
        self,
        connection: Connection,
        app_id: str,
        declaration: Declaration,
        *,
        source: str,
        resource_name: str | None,
        resource_uid: str | None,
    ) -> Declared:
        document = canonical(declaration.document)
        key = {"app_id": app_id, "kind": declaration.kind.value, "name": declaration.name}
        values = {
            "source": source,
            "resource_name": resource_name,
            "resource_uid": resource_uid,
            "suspended": declaration.suspended,
        }
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement("definitions/get_definition"), key)
            before = await cursor.fetchone()
            if before is None:
                await cursor.execute(statement("definitions/insert_definition"), {**key, **values})
                row = await cursor.fetchone()
                assert row is not None
                definition_id, revision = int(row["id"]), 1
                await cursor.execute(
                    statement("definitions/insert_revision"), {"id": definition_id, "document": document}
                )
            else:
                definition_id, revision = int(before["id"]), int(before["revision"])
                if bytes(before["document"]) != document:
                    await cursor.execute(
                        statement("definitions/find_revision"), {"id": definition_id, "document": document}
                    )
                    row = await cursor.fetchone()
                    if row is None:
                        await cursor.execute(
                            statement("definitions/insert_revision"), {"id": definition_id, "document": document}
                        )
                        row = await cursor.fetchone()
                        assert row is not None
                    revision = int(row["number"])
                await cursor.execute(
                    statement("definitions/update_definition"), {"id": definition_id, "revision": revision, **values}
                )
        await self._put_triggers(connection, app_id, definition_id, declaration)
        if before is not None and before["suspended"] and not declaration.suspended:
            await connection.execute(statement("definitions/release_held"), {"id": definition_id})
        changed = before is None or revision != before["revision"] or bool(before["retired"])
        return Declared(
            definition=Definition(
                id=definition_id,
                app_id=app_id,
                kind=declaration.kind,
                name=declaration.name,
                revision=revision,
                source=source,
                resource_uid=resource_uid,
                suspended=declaration.suspended,
                retired=False,
            ),
            changed=changed,
        )

    async def _put_triggers(
        self, connection: Connection, app_id: str, definition_id: int, declaration: Declaration
    ) -> None:
        await connection.execute(statement("definitions/delete_triggers"), {"ids": [definition_id]})
        events = [trigger for trigger in declaration.spec.triggers if isinstance(trigger, EventTrigger)]
        await connection.execute(
            statement("definitions/insert_triggers"),
            {
                "id": definition_id,
                "app_id": app_id,
                "ordinals": list(range(len(events))),
                "event_names": [trigger.name for trigger in events],
                "conditions": [trigger.condition for trigger in events],
            },
        )
        crons = [trigger.cron for trigger in declaration.spec.triggers if isinstance(trigger, CronTrigger)]
        target = {"kind": declaration.kind.capitalize(), "name": declaration.name}
        await connection.execute(
            statement("definitions/keep_cron_triggers"),
            {
                "id": definition_id,
                "app_id": app_id,
                "suspended": declaration.suspended,
                "names": [f"{declaration.kind}/{declaration.name}#{ordinal}" for ordinal in range(len(crons))],
                "documents": [
                    canonical({"targetRef": target, "schedule": cron.expression, "timeZone": cron.time_zone})
                    for cron in crons
                ],
            },
        )

    async def _retire(self, connection: Connection, ids: list[int]) -> int:
        retired = (await connection.execute(statement("definitions/retire"), {"ids": ids})).rowcount
        await connection.execute(statement("definitions/delete_triggers"), {"ids": ids})
        await connection.execute(statement("definitions/delete_cron_triggers"), {"ids": ids})
        return retired

    async def _lock(self, connection: Connection, app_id: str) -> None:
        if (await connection.execute(statement("definitions/lock_app"), {"id": app_id})).rowcount == 0:
            raise NotFound(f"no app has the id {app_id!r}")

    async def _list(self, connection: Connection, app_id: str) -> list[Definition]:
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement("definitions/list_definitions"), {"app_id": app_id})
            return [Definition(**{**row, "kind": Kind(row["kind"])}) for row in await cursor.fetchall()]

    async def _note_sync(self, connection: Connection, app_id: str, signature: str) -> None:
        noted = await connection.execute(statement("definitions/note_sync"), {"app_id": app_id, "signature": signature})
        if noted.rowcount == 0:
            raise Conflict("this very request was accepted before, and another one since: sign it anew")

    async def _record_served(self, connection: Connection, app_id: str, served: Served) -> None:
        await connection.execute(
            statement("definitions/set_served"),
            {
                "id": app_id,
                "url": served.url,
                "protocol": served.protocol,
                "checkpointing": served.checkpointing,
                "shared_calls": served.shared_calls,
                "sdk": json.dumps(dict(served.sdk or {})),
            },
        )

    async def _find(self, connection: Connection, namespace: str, name: str, environment: str) -> App | None:
        return await self._app(
            connection, "definitions/find_app", {"namespace": namespace, "name": name, "environment": environment}
        )

    async def _app(self, connection: Connection, query: str, parameters: dict[str, object]) -> App | None:
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement(query), parameters)
            row = await cursor.fetchone()
        return None if row is None else self._opened(row)

    def _opened(self, row: dict[str, Any]) -> App:
        sealed, app_id = row.pop("signing_keys"), str(row["id"])
        return App(**row, signing_keys=self._sealer.open(sealed, app_id=app_id))

    async def _update(self, connection: Connection, app: App, settings: AppSettings) -> None:
        keys = settings.signing_keys or app.signing_keys
        await connection.execute(
            statement("definitions/update_app"),
            {
                **_columns(settings),
                "id": app.id,
                "resource_uid": settings.resource_uid or app.resource_uid,
                "signing_keys": self._sealer.seal(keys, app_id=app.id),
                "keys_changed": keys != app.signing_keys,
            },
        )


def new_signing_key() -> str:
    """256 random bits, printable."""
    return f"swk_{secrets.token_urlsafe(32)}"


def _columns(settings: AppSettings) -> dict[str, object]:
    return {
        "namespace": settings.namespace,
        "name": settings.name,
        "environment": settings.environment,
        "resource_uid": settings.resource_uid,
        "url": settings.url,
        "step_timeout": settings.step_timeout,
        "max_in_flight": settings.max_in_flight,
        "retention_completed": settings.retention_completed,
        "retention_failed": settings.retention_failed,
        "timed_signature_only": settings.timed_signature_only,
    }
