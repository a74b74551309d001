"""`App`: the functions and step handlers of an application, and its connection to the engine.

    app = App("shop")

    @app.function(on=Event("order.placed"))
    async def fulfil(step: Step, order: Order) -> Receipt: ...

    api.mount("/api/stepwell", app.asgi)      # or app.wsgi, or app.serve(port=8000)

Making an app and decorating functions does nothing but remember them: no connection is opened and no loop is needed at
import time.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from stepwell.errors import ConfigurationError, Mistake
from stepwell.handlers import Function, Handler, function_name
from stepwell.triggers import Backoff, Duration, Limit, Trigger

if TYPE_CHECKING:
    from asyncio import Lock
    from concurrent.futures import Executor

    from stepwell.asgi import Asgi
    from stepwell.checkpoints import Checkpoints
    from stepwell.client import Client
    from stepwell.endpoint import Endpoint
    from stepwell.wsgi import Wsgi
    from stepwell_protocol.client import HttpClient

P = ParamSpec("P")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741 - the input, beside O
O = TypeVar("O")  # noqa: E741

CAPABILITIES = ("parallel", "sendEvent", "errors")


class App:
    """An application: what it serves, and how it reaches the engine."""

    def __init__(
        self,
        name: str,
        *,
        url: str | None = None,
        app_id: str | None = None,
        signing_key: str | None = None,
        environment: str = "dev",
        threads: int = 32,
        checkpointing: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Make an app. What is not given comes from STEPWELL_URL, STEPWELL_APP_ID and STEPWELL_SIGNING_KEY.

        Args:
            name: the app's name.
            url: the engine's address.
            app_id: the app's id at the engine.
            signing_key: the key that signs both ways.
            environment: dev, acc or prod; only dev apps register themselves at a local engine.
            threads: how many plain functions may run at the same time.
            checkpointing: let handlers go on in the same call after a step is committed.
            now: unix time in seconds.
        """
        self.name = name
        self.environment = environment
        self._threads = threads
        self._checkpointing = checkpointing
        self._streams = False
        self._now = now
        self._functions: dict[str, Function[Any, Any]] = {}
        self._handlers: dict[str, Handler] = {}
        self._steps: dict[str, Handler] = {}
        self._described: bytes | None = None
        self._connecting: Lock | None = None
        self._identity = (url, app_id, signing_key)

    def function(
        self,
        id: str | None = None,
        *,
        on: Trigger | Sequence[Trigger] = (),
        max_attempts: int | None = None,
        backoff: Backoff | None = None,
        step_timeout: Duration | None = None,
        start_timeout: Duration | None = None,
        run_timeout: Duration | None = None,
        concurrency: Limit | Sequence[Limit] = (),
        priority: int | None = None,
    ) -> "Declare":
        """Make a function durable: `@app.function(on=Event("order.placed"))`. What is not given has the engine's
        default.

        Args:
            id: the function's id; by default the function's name.
            on: what starts it. It can always be started by hand.
            max_attempts: attempts of each step, the first one included.
            backoff: how long to wait between them.
            step_timeout: how long one call may take.
            start_timeout: how long a run may wait for its first call.
            run_timeout: how long a run may take in all.
            concurrency: how many may execute at a time.
            priority: higher ones first.
        """
        options = {
            "triggers": _several(on),
            "max_attempts": max_attempts,
            "backoff": backoff,
            "step_timeout": step_timeout,
            "start_timeout": start_timeout,
            "run_timeout": run_timeout,
            "concurrency": _several(concurrency),
            "priority": priority,
        }
        return Declare(self, id, options)

    def step(self, name: str | None = None) -> "DeclareStep":
        """Make a function callable from Workflow resources by this name: `@app.step("reserve-stock")`."""
        return DeclareStep(self, name)

    def add_step(self, handler: Handler) -> None:
        """Serve a step's handler. `@app.step` does this."""
        _refuse_repeated(handler, self._steps, what="step handler")
        self._steps[handler.name] = handler
        self._described = None

    @property
    def functions(self) -> Mapping[str, Function[Any, Any]]:
        """The functions it serves, by id."""
        return self._functions

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of functions, by id."""
        return self._handlers

    @property
    def step_handlers(self) -> Mapping[str, Handler]:
        """The handlers of workflows' steps, by name."""
        return self._steps

    def add(self, function: Function[Any, Any]) -> None:
        """Serve a function. `@app.function` does this."""
        _refuse_repeated(function.handler, self._handlers, what="function")
        self._functions[function.id] = function
        self._handlers[function.id] = function.handler
        self._described = None

    def definitions(self) -> list[dict[str, Any]]:
        """The definition of every function, as `sync` sends it.

        Raises:
            Mistake: an annotation or a duration cannot be read.
        """
        return [function.document() for function in self._functions.values()]

    @property
    def streams(self) -> bool:
        """Whether the framework that carries this app's answers can send them part by part, so that several calls may
        come in one request.
        """
        return self._streams

    @streams.setter
    def streams(self, streams: bool) -> None:
        self._streams = streams
        self._described = None

    def _capabilities(self) -> list[str]:
        can = {"checkpoint": self._checkpointing, **dict.fromkeys(CAPABILITIES, True), "sharedCalls": self._streams}
        return [capability for capability, able in can.items() if able]

    def describe(self) -> bytes:
        """What this app serves, as JSON: the answer to the engine's signed GET."""
        from pydantic_core import to_json

        if self._described is None:
            self._described = to_json(
                {
                    "app": self.name,
                    "protocol": 2,
                    "sdk": sdk_info(),
                    "capabilities": self._capabilities(),
                    "functions": self.definitions(),
                    "steps": [
                        {"id": handler.name, "input": handler.input_schema(), "output": handler.output.schema()}
                        for handler in self._steps.values()
                    ],
                }
            )
        return self._described

    async def connect(self, *, admin_token: str | None = None) -> None:
        """Register at the engine, unless this app has its id and key already. A local engine in dev mode needs no
        token.

        Raises:
            ConfigurationError: there is no key, and the engine is not on this machine.
            RequestFailed: the engine refused, or could not be reached.
        """
        from asyncio import Lock

        if self._connecting is None:
            self._connecting = Lock()
        async with self._connecting:
            if not self._has_key():
                if admin_token is None:
                    self.require_key()
                await self.client.register(self.name, environment=self.environment, admin_token=admin_token)

    async def sync(self, url: str) -> None:
        """Tell the engine that this app answers at `url`, and what it serves.

        Raises:
            RequestFailed: the engine refused a definition, or could not be reached.
        """
        await self.connect()
        await self.client.sync(url, self.definitions(), sdk=sdk_info(), capabilities=self._capabilities())

    async def close(self) -> None:
        """Close what is open towards the engine."""
        await self.checkpoints.close()
        await self.http.close()
        executor: Executor | None = self.__dict__.pop("executor", None)
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def http(self) -> "HttpClient":
        """The connections to the engine."""
        from stepwell_protocol.client import HttpClient

        return HttpClient()

    @cached_property
    def client(self) -> "Client":
        """A client that speaks as this app."""
        from stepwell.client import Client

        url, app_id, signing_key = self._identity
        return Client(url=url, app_id=app_id, signing_key=signing_key, http=self.http, now=self._now)

    @cached_property
    def executor(self) -> "Executor":
        """Where plain functions run."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="stepwell")

    @cached_property
    def checkpoints(self) -> "Checkpoints":
        """Reports finished steps while their calls are under way."""
        from stepwell.checkpoints import Checkpoints

        return Checkpoints(
            self.http,
            app_id=lambda: self.client.connection.app_id or "",
            keys=lambda: self.client.connection.signing_keys,
            now=self._now,
        )

    @cached_property
    def endpoint(self) -> "Endpoint":
        """The engine's side of this app, for adapters to other frameworks."""
        from stepwell.endpoint import Endpoint
        from stepwell.turn import Surroundings

        return Endpoint(
            functions=self._handlers,
            steps=self._steps,
            keys=lambda: self.client.connection.signing_keys,
            describe=self.describe,
            around=Surroundings(
                executor=lambda: self.executor,
                checkpointer=self.checkpoints if self._checkpointing else None,
                now=self._now,
                send=self.client.send_encoded,
            ),
        )

    @cached_property
    def asgi(self) -> "Asgi":
        """An ASGI application; mount it under any path.

        Raises:
            ConfigurationError: there is no signing key, and the engine is not on this machine.
        """
        from stepwell.asgi import Asgi

        self.require_key()
        return Asgi(self)

    @cached_property
    def wsgi(self) -> "Wsgi":
        """A WSGI application; mount it under any path.

        Raises:
            ConfigurationError: there is no signing key, and the engine is not on this machine.
        """
        from stepwell.wsgi import Wsgi

        self.require_key()
        return Wsgi(self)

    def serve(
        self, *, host: str = "127.0.0.1", port: int = 8000, path: str = "/api/stepwell", url: str | None = None
    ) -> None:
        """Serve this app from this process until it is stopped, and tell the engine so. Needs `stepwell[serve]`.

        Args:
            host: the address to listen on.
            port: the port to listen on.
            path: the path under which the engine's requests are answered.
            url: where the engine reaches this app; by default http://host:port/path.
        """
        from stepwell.serving import serve

        self.require_key()
        serve(self, host=host, port=port, path=path, url=url)

    def require_key(self) -> None:
        """Refuse to go on without a signing key, unless this app may register itself at an engine on this machine.

        Raises:
            ConfigurationError: there is no key.
        """
        if not self._has_key() and not (self.environment == "dev" and self.client.connection.is_loopback):
            raise ConfigurationError(
                f"app {self.name!r} has no signing key: set STEPWELL_APP_ID and STEPWELL_SIGNING_KEY (in a cluster they are in "
                "the app's Secret). Only against an engine on this machine does a dev app get one by itself"
            )

    def _has_key(self) -> bool:
        connection = self.client.connection
        return connection.app_id is not None and bool(connection.signing_keys)


def _several(given: Any) -> tuple[Any, ...]:
    """One or several. What is neither is found out when the definition is made."""
    return tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)


class Declare:
    """What `@app.function(…)` applies to a function."""

    def __init__(self, app: App, id: str | None, options: Mapping[str, Any]) -> None:
        self._app = app
        self._id = id
        self._options = options

    @overload
    def __call__(self, function: Callable[[Any, I], Awaitable[O]], /) -> Function[I, O]: ...
    @overload
    def __call__(self, function: Callable[[Any], Awaitable[O]], /) -> Function[None, O]: ...
    @overload
    def __call__(self, function: Callable[[Any, I], O], /) -> Function[I, O]: ...
    @overload
    def __call__(self, function: Callable[[Any], O], /) -> Function[None, O]: ...
    def __call__(self, function: Callable[..., Any], /) -> Function[Any, Any]:
        """Declare the function."""
        handler = Handler(function, name=self._id or function_name(function))
        declared: Function[Any, Any] = Function(self._app, handler, options=self._options)
        self._app.add(declared)
        return declared


class DeclareStep:
    """What `@app.step(…)` applies to a function; it leaves the function as it is."""

    def __init__(self, app: App, name: str | None) -> None:
        self._app = app
        self._name = name

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Declare the handler."""
        self._app.add_step(Handler(function, name=self._name or function_name(function)))
        return function


def sdk_info() -> dict[str, str]:
    """What this SDK is."""
    from importlib.metadata import PackageNotFoundError  # 15 ms that few processes need at once
    from importlib.metadata import version as version_of

    try:
        version = version_of("stepwell")
    except PackageNotFoundError:
        version = "0"
    return {"name": "stepwell", "version": version, "language": "python"}


def _refuse_repeated(handler: Handler, known: Mapping[str, Handler], *, what: str) -> None:
    earlier = known.get(handler.name)
    if earlier is not None:
        raise Mistake(f"{handler.where}: the {what} {handler.name!r} exists already, at {earlier.where}: rename one")
