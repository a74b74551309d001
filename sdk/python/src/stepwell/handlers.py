"""The user's functions as the app knows them: how they are called, and what goes in and comes out.

`Handler` looks at a function once: whether it is async, whether it takes an input, which types go in and out.
`Function` is what `@app.function` leaves in its place: still callable, and able to start runs of itself.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stepwell.errors import Mistake
from stepwell.shapes import PLAIN, NotJson, Shape, hints_of, returned_by, shape_of
from stepwell_protocol import limits

if TYPE_CHECKING:
    from stepwell.app import App
    from stepwell.client import StartedRun

I = TypeVar("I")  # noqa: E741 - the input, beside O
O = TypeVar("O")  # noqa: E741


class InvalidInput(Mistake):
    """The run's input does not fit the handler's annotation."""


class Handler:
    """A user's function, looked at once."""

    def __init__(self, function: Callable[..., Any], *, name: str) -> None:
        """Raises Mistake when it cannot be a handler."""
        self.function = function
        self.name = name
        self.is_async = inspect.iscoroutinefunction(function)
        self.where = _where(function)
        parameters = [
            each
            for each in inspect.signature(function).parameters.values()
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]
        required = [each for each in parameters if each.default is each.empty]
        if not parameters or len(required) > 2 or len(parameters) > 2:
            raise Mistake(
                f"{self.where}: a handler takes `step` first and, if it wants it, its input second; "
                f"{function_name(function)} takes {len(parameters)} arguments"
            )
        self.takes_input = len(parameters) == 2
        self._input_parameter = parameters[1].name if self.takes_input else None

    @functools.cached_property
    def input(self) -> Shape[Any]:
        """The shape of the input."""
        if self._input_parameter is None:
            return PLAIN
        return self._placed(lambda: shape_of(hints_of(self.function).get(self._input_parameter or "", Any)))

    @functools.cached_property
    def output(self) -> Shape[Any]:
        """The shape of what it returns."""
        return self._placed(lambda: returned_by(self.function))

    def accept(self, given: Any) -> Any:
        """The input as the handler wants it.

        Raises:
            InvalidInput: it does not fit.
        """
        try:
            return self.input.restore(given)
        except NotJson as refusal:
            raise InvalidInput(f"the input of {self.name!r} {refusal}") from None

    def encode(self, output: Any) -> bytes:
        """What it returned, as JSON.

        Raises:
            Mistake: it is not JSON, or too large.
        """
        try:
            data = self.output.dump(output)
        except NotJson as refusal:
            raise Mistake(f"what {self.name!r} returned ({self.where}) {refusal}") from None
        if over := limits.over_limit(f"what {self.name!r} returned", size=len(data), limit=limits.STEP_RESULT_BYTES):
            raise Mistake(over)
        return data

    def input_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the input, or None when anything goes."""
        return self.input.schema() if self.takes_input else None

    def _placed(self, look: Callable[[], Shape[Any]]) -> Shape[Any]:
        try:
            return look()
        except Mistake as mistake:
            raise Mistake(f"{self.where}: {mistake}") from None


class Function(Generic[I, O]):
    """A durable function of an app. Calling it calls the user's function as it was written."""

    def __init__(self, app: "App", handler: Handler, *, options: Mapping[str, Any]) -> None:
        self._app = app
        self.options = options
        self.handler = handler
        self.id = handler.name
        functools.update_wrapper(self, handler.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The user's own function; for tests of code that needs no engine."""
        return self.handler.function(*args, **kwargs)

    def start(
        self, input: I | None = None, *, labels: Mapping[str, str] | None = None, idempotency_key: str | None = None
    ) -> "Awaitable[StartedRun]":
        """Start a run of this function.

        Args:
            input: what the handler gets as its second argument.
            labels: shown with the run, and to filter by.
            idempotency_key: a second start with the same key within 24 hours gives the first run.

        Raises:
            RequestFailed: the engine refused, or could not be reached.
        """
        data = self.handler.input.dump(input) if self.handler.takes_input else PLAIN.dump(input)
        return self._app.client.start_encoded(self.id, data, labels=labels, idempotency_key=idempotency_key)

    def document(self) -> dict[str, Any]:
        """The function's definition, with its id."""
        from stepwell.triggers import definition

        return {"id": self.id, **definition(input_schema=self.handler.input_schema(), **self.options)}


def function_name(function: Callable[..., Any]) -> str:
    """The name a handler has when none is given."""
    return str(getattr(function, "__name__", type(function).__name__))


def _where(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(function)
