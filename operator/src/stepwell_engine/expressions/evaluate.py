"""Compile and evaluate one CEL expression.

`compile_expression` gives the same object for the same source (a bounded cache), so an expression is parsed once per
process. The library underneath (Rust's cel crate) has no limit on work and holds the interpreter lock while it runs;
its `map` and `filter` copy what they have gathered on every turn, which makes them quadratic (100,000 elements took
six minutes). That is why loops are bounded here by an estimate made from the data before the expression runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cel

from .failure import ExpressionError, InvalidExpression
from .references import LOOPS, ROOTS, Loops, Reference, bound_names, loops, references
from .tokens import depth, scan
from .values import Extent, extent_of, plain

MOST_CHARS: Final = 4096
DEEPEST: Final = 32
MOST_TURNS: Final = 100_000
MOST_COLLECTED: Final = 1_000
MOST_COPIED: Final = 1_000_000_000

_GENERAL: Final = frozenset({"size", "contains", "startsWith", "endsWith", "matches", "has", "type", "dyn"})
_CONVERSIONS: Final = frozenset({"int", "uint", "double", "string", "bytes", "timestamp", "duration"})
_PARTS_OF_TIME: Final = frozenset(
    f"get{part}"
    for part in ("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear", "Hours", "Minutes", "Seconds")
)
_FUNCTIONS: Final = _GENERAL | _CONVERSIONS | _PARTS_OF_TIME | {"getMilliseconds"}
_TYPES: Final = frozenset({"int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type"})


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `references` lists what it reads, each path as far as it is literal."""

    source: str
    references: tuple[Reference, ...]
    _program: cel.Program
    _loops: Loops

    def evaluate(self, scope: Mapping[str, Any], *, path: str = "") -> Any:
        """The value for this scope ({"input": …, "steps": {name: {"output": …}}, …}), as plain JSON values.

        Raises:
            ExpressionError: the data doesn't fit the expression, or the work would be too much.
        """
        visible = {root: _pruned(scope[root], tree) for root, tree in self._tree().items() if root in scope}
        if self._loops.depth:
            self._guard(extent_of(visible), path)
        try:
            value = self._program.execute(visible)
        except KeyError as error:
            reason = f"there is no field {error.args[0]!r} here: test it first, as in has(input.orderId) ? … : …"
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error)
        else:
            try:
                return plain(value)
            except ValueError as error:
                reason = str(error)
        raise ExpressionError(reason, source=self.source, path=path)

    def condition(self, scope: Mapping[str, Any], *, path: str = "") -> bool:
        """The value of an expression that must be true or false.

        Raises:
            ExpressionError: as `evaluate`, or the value is neither true nor false.
        """
        value = self.evaluate(scope, path=path)
        if not isinstance(value, bool):
            reason = f"a condition must be true or false, not {_kind(value)}: compare it with something"
            raise ExpressionError(reason, source=self.source, path=path)
        return value

    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for reference in self.references:
            branch = tree
            for name in reference.path[:-1]:
                if branch.setdefault(name, {}) is None:
                    break
                branch = branch[name]
            else:
                branch[reference.path[-1]] = None
        return tree

    def _guard(self, extent: Extent, path: str) -> None:
        shape = self._loops
        largest = max(extent.collection * (shape.joins_before + 1), shape.commas + 1)
        turns, collected = largest**shape.depth, largest**shape.collecting
        copied = collected**2 * max(extent.string, 1) * (shape.joins + 1)
        if turns > MOST_TURNS or (shape.collecting and (collected > MOST_COLLECTED or copied > MOST_COPIED)):
            reason = (
                f"its loops would be too much work on a collection of {extent.collection:,} elements and texts of "
                f"up to {extent.string:,} characters: do this in a step of the app instead"
            )
            raise ExpressionError(reason, source=self.source, path=path)


@lru_cache(maxsize=4096)
def compile_expression(source: str, *, roots: tuple[str, ...] = ROOTS) -> Expression:
    """Compile, and check all that can be checked without data. `roots` are the names the expression may use.

    Raises:
        InvalidExpression: with the reason and the fix.
    """
    if len(source) > MOST_CHARS:
        raise InvalidExpression(
            f"the expression has {len(source):,} characters, more than {MOST_CHARS:,}",
            fix="do this in a step of the app",
        )
    tokens = tuple(scan(source))
    if any(token.text == "$" for token in tokens):
        raise InvalidExpression("this is an expression already", fix="write it without ${{ }}")
    if not tokens:
        raise InvalidExpression("the expression is empty", fix="write a CEL expression or remove the field")
    if depth(tokens) > DEEPEST:
        raise InvalidExpression(f"brackets nest deeper than {DEEPEST}", fix="write it in smaller parts")
    found = tuple(dict.fromkeys(references(tokens)))
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise InvalidExpression(
            _syntax(str(error)), fix="write one CEL expression, such as input.total > 100"
        ) from None
    bound = bound_names(tokens)
    _check_names(program, bound, roots)
    return Expression(source, found, program, loops(tokens))


def _check_names(program: cel.Program, bound: frozenset[str], roots: tuple[str, ...]) -> None:
    for name in sorted(bound & set(ROOTS)):
        raise InvalidExpression(f"a loop can't call its element {name!r}", fix="give the element another name")
    for name in program.variables():
        if name not in roots and name not in bound and name not in _TYPES:
            raise InvalidExpression(
                f"there is nothing called {name!r} here",
                fix=f"an expression sees {_listed(roots)}; texts stand in quotes",
            )
    for name in program.functions():
        if name.isidentifier() and not name.startswith("_") and name not in _FUNCTIONS and name not in LOOPS:
            raise InvalidExpression(
                f"there is no function {name!r}", fix=f"the functions are {_listed(sorted(_FUNCTIONS | LOOPS))}"
            )


def _pruned(value: Any, tree: dict[str, Any] | None) -> Any:
    if tree is None or not isinstance(value, Mapping):
        return value
    return {name: _pruned(value[name], branch) for name, branch in tree.items() if name in value}


def _syntax(message: str) -> str:
    """The first complaint of the compiler, without its picture of the source."""
    first = message.partition("ERROR: <input>:")[2].partition("\n")[0] or message.partition("\n")[0]
    place, _, reason = first.partition(": ")
    reason = reason.removeprefix("Syntax error: ").partition(" expecting {")[0]
    return f"does not parse at column {place.partition(':')[2]}: {reason}" if reason else first


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)
