"""The gateway's ASGI application: which request goes where, and how errors are told."""

import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from ..errors import Conflict, InvalidInput, NotFound, StepwellError
from ..journal import Journal
from ..journal.definitions import Served
from ..model import App, AppSettings, NewEvent
from ..services.notifier import WorkMade
from .acceptor import Acceptor
from .checkpoint import Checkpoints
from .http import Answer, Receive, Request, Scope, Send, json_answer, problem, read, send_answer
from .identity import Identity, timed_signature
from .requests import read_app, read_event, read_start, read_sync
from .sync import read_declarations

_log = logging.getLogger("stepwell.gateway")

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gateway:
    """One route, one method. `work_made` is called after a commit that may have made work for a worker."""

    def __init__(
        self, journal: Journal, *, identity: Identity, work_made: WorkMade, checkpoints: Checkpoints | None
    ) -> None:
        self._journal = journal
        self._identity = identity
        self._work_made = work_made
        self._acceptor = Acceptor(journal.intake, work_made=work_made)
        self._checkpoints = checkpoints

    async def answer(self, request: Request) -> Answer:
        match request.method, request.path:
            case "POST", "/e":
                return await self._by_app(request, self._event)
            case "POST", "/fn/checkpoint":
                return await self._by_app(request, self._checkpoint)
            case "POST", "/fn/sync":
                return await self._by_app(request, self._sync)
            case "POST", "/fn/start":
                return await self._by_app(request, self._start)
            case "POST", "/api/apps":
                return await self._register(request)
            case "GET", "/healthz":
                return json_answer({"status": "ok"})
            case "GET", path if path.startswith("/fn/runs/"):
                return await self._by_app(request, self._run)
        raise NotFound(
            f"{request.method} {request.path} is not here; what is: POST /e, /fn/sync, /fn/start, /fn/checkpoint, /api/apps, "
            "GET /fn/runs/{id}"
        )

    async def drain(self) -> None:
        await self._acceptor.drain()

    async def _by_app(self, request: Request, handle: Callable[[App, Request], Awaitable[Answer]]) -> Answer:
        app = await self._identity.app(request)
        return self._identity.signed(app, await handle(app, request), request)

    async def _event(self, app: App, request: Request) -> Answer:
        body = read_event(request.body)
        accepted = await self._acceptor.accept(
            NewEvent(
                app_id=app.id,
                name=body.name,
                data=body.data,
                deduplicate=body.id,
                once=None if body.id else timed_signature(request),
            )
        )
        if accepted.duplicate and body.id is None:
            raise Conflict("this very request was accepted before: sign it anew, or send an `id` of the event's own")
        return Answer(200, b'{"id":"%b"}' % str(accepted.event_id).encode())

    async def _sync(self, app: App, request: Request) -> Answer:
        body = read_sync(request.body)
        declarations, left_out = read_declarations(body)
        served = Served(
            url=body.url,
            protocol=body.protocol,
            checkpointing="checkpoint" in body.capabilities,
            shared_calls="sharedCalls" in body.capabilities,
            sdk=body.sdk,
        )
        declared = await self._journal.definitions.sync(
            app.id, declarations, served=served, once=timed_signature(request)
        )
        self._identity.forget(app.id)
        self._work_made()
        return json_answer(
            {
                "functions": [
                    {
                        "id": each.definition.name,
                        "revision": each.definition.revision,
                        "changed": each.changed,
                        "source": each.definition.source,
                    }
                    for each in declared
                ],
                "notYetSupported": left_out,
            }
        )

    async def _start(self, app: App, request: Request) -> Answer:
        body = read_start(request.body)
        run_id, fresh = await self._journal.intake.start_run(
            app.id,
            kind=body.kind,
            name=body.name,
            input=body.input,
            labels=body.labels,
            idempotency_key=body.idempotency_key or timed_signature(request),
        )
        if not fresh and body.idempotency_key is None:
            raise Conflict("this very request started a run before: sign it anew, or send an `idempotencyKey`")
        self._work_made()
        return json_answer({"id": str(run_id), "new": fresh}, status=201 if fresh else 200)

    async def _run(self, app: App, request: Request) -> Answer:
        try:
            run_id = UUID(request.path.removeprefix("/fn/runs/"))
        except ValueError:
            raise InvalidInput("is not a run's id", field="id") from None
        found = await self._journal.intake.get_run(app.id, run_id)
        if found is None:
            raise NotFound(f"this app has no run {run_id}")
        return Answer(200, found)

    async def _checkpoint(self, app: App, request: Request) -> Answer:
        if self._checkpoints is None:
            raise Conflict("this process drives no runs: report to the address that the call carried")
        return Answer(200, await self._checkpoints.report(app, request.body))

    async def _register(self, request: Request) -> Answer:
        self._identity.admin(request)
        body = read_app(request.body)
        app = await self._journal.definitions.put_app(AppSettings(name=body.name, environment=body.environment))
        return json_answer({"appId": app.id, "signingKey": app.signing_keys[0]})


def application_of(gateway: Gateway) -> Application:
    """The ASGI application. Whatever happens, the answer is a problem and never a traceback."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            answer = await gateway.answer(await read(scope, receive))
        except StepwellError as error:
            answer = problem(error)
        except Exception:  # noqa: BLE001 - logged; the sender gets a problem, never a traceback
            _log.exception("%s %s failed", scope["method"], scope["path"])
            answer = problem(StepwellError("the engine failed on this request; its log has the reason"))
        await send_answer(send, answer)

    return application


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
