"""How values travel as JSON: encoded once, restored to the type that the code is annotated with.

A `Shape` belongs to one type. What is not annotated travels as plain JSON. Values always take the way through JSON,
also when they are handed on in the same call, so that a handler sees the same value live and after a replay: a tuple in
an unannotated result is a list at once, not only tomorrow. Shapes are built once per type and once per function;
building is what costs in pydantic.
"""

import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import pydantic_core
from pydantic import JsonValue, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from stepwell.errors import Mistake
from stepwell_protocol.strict_json import StrictJsonError, prescan

T = TypeVar("T")

_MOST_FUNCTIONS: Final = 10_000
_PLAINLY_ANNOTATED: Final = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)


class NotJson(Exception):
    """A value that cannot travel. The message says why, in words that fit behind "the result of …"."""


class Shape(Generic[T]):
    """The way of one type into JSON and back."""

    __slots__ = ("_adapter", "_dump", "_load", "name")

    def __init__(self, adapter: TypeAdapter[T] | None, *, name: str) -> None:
        self._adapter = adapter
        self._dump: Callable[..., bytes] = pydantic_core.to_json if adapter is None else adapter.serializer.to_json
        self._load: Callable[[bytes], Any] = _from_json if adapter is None else adapter.validator.validate_json
        self.name = name

    def dump(self, value: T) -> bytes:
        """Encode a value.

        Raises:
            NotJson: it is not JSON, or not of the annotated type.
        """
        try:
            if self._adapter is None:
                data = self._dump(value)
                if b"NaN" in data or b"Infinity" in data:
                    pydantic_core.from_json(data, allow_inf_nan=False)
            else:
                data = self._dump(value, by_alias=True, round_trip=True, warnings="error")
            prescan(data, place="it")
        except pydantic_core.PydanticSerializationError as error:
            expected = "" if self._adapter is None else f" (it is annotated as {self.name})"
            raise NotJson(f"is not JSON{expected}: {_first_line(error)}") from None
        except StrictJsonError as error:
            raise NotJson(error.reason) from None
        except (ValueError, RecursionError) as error:
            raise NotJson(f"is not JSON: {_first_line(error)}") from None
        return data

    def load(self, data: bytes) -> T:
        """Restore a value from its JSON.

        Raises:
            NotJson: the JSON does not fit the annotated type.
        """
        try:
            restored: T = self._load(data)
        except ValidationError as error:
            raise NotJson(f"does not fit {self.name}: {_complaints(error)}") from None
        except ValueError as error:
            raise NotJson(f"is not JSON: {_first_line(error)}") from None
        return restored

    def restore(self, parsed: Any) -> T:
        """Restore a value from JSON that is parsed already.

        Raises:
            NotJson: it does not fit the annotated type.
        """
        if self._adapter is None:
            plain: T = parsed
            return plain
        data = pydantic_core.to_json(parsed)
        try:
            restored: T = self._load(data)
        except ValidationError:
            return self.load(data)
        return restored

    def schema(self) -> dict[str, Any] | None:
        """The type's JSON Schema, or None for plain JSON."""
        return None if self._adapter is None else self._adapter.json_schema(by_alias=True, mode="validation")


def _from_json(data: bytes) -> Any:
    return pydantic_core.from_json(data, allow_inf_nan=False)


PLAIN: Final[Shape[Any]] = Shape(None, name="JSON")
_UNTYPED: Final = (Any, None, type(None), object, inspect.Parameter.empty, JsonValue)


@functools.lru_cache(maxsize=4096)
def _cached(annotation: Any) -> Shape[Any]:
    return _build(annotation)


def shape_of(annotation: Any) -> Shape[Any]:
    """The shape of an annotation, which must be resolved.

    Raises:
        Mistake: values of this type cannot be restored from JSON.
    """
    if any(annotation is untyped for untyped in _UNTYPED) or isinstance(annotation, TypeVar):
        return PLAIN
    try:
        return _cached(annotation)
    except TypeError:
        return _build(annotation)


def returned_by(function: Callable[..., Any]) -> Shape[Any]:
    """The shape of what a function returns (for an async one: what awaiting it gives), by its annotation.

    Raises:
        Mistake: the annotation cannot be resolved, or values of it cannot be restored from JSON.
    """
    target = function if type(function) is types.FunctionType else _annotated(function)
    if isinstance(target, type):
        return shape_of(target)
    annotation = (getattr(target, "__annotations__", None) or {}).get("return", _UNKNOWN)
    if annotation is _UNKNOWN:
        return PLAIN
    code = getattr(target, "__code__", target)
    known = _by_code.get(id(code))
    if known is not None and known.code is code and known.annotation == annotation:
        return known.shape
    shape = shape_of(_returned(target))
    if len(_by_code) >= _MOST_FUNCTIONS:
        _by_code.clear()
    _by_code[id(code)] = _Known(code, annotation, shape)
    return shape


class _Known(NamedTuple):
    code: object  # kept, so that nothing else gets its id
    annotation: Any
    shape: Shape[Any]


_UNKNOWN: Final = object()
_by_code: Final[dict[int, _Known]] = {}


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """A function's annotations, resolved.

    Raises:
        Mistake: one of them names something that does not exist.
    """
    target = _annotated(function)
    try:
        return get_type_hints(target, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise Mistake(
            f"the annotations of {_named(target)} cannot be resolved ({error}): "
            "import the types it names where it is defined, not only under TYPE_CHECKING"
        ) from None


def _annotated(function: Callable[..., Any]) -> Any:
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    if isinstance(target, _PLAINLY_ANNOTATED):
        return target
    return type(target).__call__


def _returned(target: Any) -> Any:
    annotation = hints_of(target).get("return")
    if get_origin(annotation) in (Awaitable, Coroutine):
        return get_args(annotation)[-1]
    return annotation


def _build(annotation: Any) -> Shape[Any]:
    name = _spelled(annotation)
    try:
        return Shape(TypeAdapter(annotation), name=name)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
        raise Mistake(
            f"values of type {name} cannot be kept as JSON ({_first_line(error)}): "
            "use a pydantic model, a dataclass, a TypedDict or plain JSON types"
        ) from None


def _spelled(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _spelled(get_args(annotation)[0])
    return getattr(annotation, "__qualname__", None) or str(annotation)


def _named(target: Any) -> str:
    return f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', target)}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def _complaints(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in found[:5]]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return "; ".join(shown) + more
