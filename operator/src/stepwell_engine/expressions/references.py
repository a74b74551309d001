"""What an expression refers to, read from its tokens: roots, step names, field paths, and the names that loops bind.

A path such as `steps.reserve.output.id` or `steps['a-b'].output` is followed as far as it is literal. It ends at a
call, an index that isn't a text, or anything else; what lies behind the end is then needed whole. Paths serve two
ends: a definition's step references are checked before anything runs, and at run time only the named parts are handed
to the evaluator.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from .failure import InvalidExpression
from .tokens import Token

ROOTS: Final = ("input", "steps", "event", "run")
LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
COLLECTING: Final = frozenset({"map", "filter"})

_STEP_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class Reference(NamedTuple):
    """`path` starts with the root: ("steps", "reserve", "output")."""

    path: tuple[str, ...]

    @property
    def step(self) -> str | None:
        return self.path[1] if self.path[0] == "steps" else None


def bound_names(tokens: tuple[Token, ...]) -> frozenset[str]:
    """The names that loops bind: `x` in `items.map(x, x.id)`."""
    return frozenset(
        name.text
        for dot, macro, bracket, name, comma in zip(
            tokens, tokens[1:], tokens[2:], tokens[3:], tokens[4:], strict=False
        )
        if dot.text == "." and macro.text in LOOPS and bracket.text == "(" and name.kind == "name" and comma.text == ","
    )


class Loops(NamedTuple):
    """How loops nest in an expression, and how many `+` could make their collections longer."""

    depth: int
    collecting: int
    joins: int
    joins_before: int
    commas: int


def loops(tokens: tuple[Token, ...]) -> Loops:
    """`collecting` counts only `map` and `filter`; `joins_before` the `+` outside of every loop's brackets."""
    open_brackets: list[str] = []
    deepest = collecting = joins = joins_before = commas = 0
    for index, token in enumerate(tokens):
        if token.kind != "mark":
            continue
        if token.text in "([{":
            is_call = token.text == "(" and index > 1 and tokens[index - 2].text == "."
            open_brackets.append(tokens[index - 1].text if is_call else "")
            deepest = max(deepest, sum(name in LOOPS for name in open_brackets))
            collecting = max(collecting, sum(name in COLLECTING for name in open_brackets))
        elif token.text in ")]}" and open_brackets:
            open_brackets.pop()
        elif token.text == "+":
            joins += 1
            joins_before += not any(name in LOOPS for name in open_brackets)
        commas += token.text == ","
    return Loops(deepest, collecting, joins, joins_before if deepest < 2 else joins, commas)


def references(tokens: tuple[Token, ...]) -> Iterator[Reference]:
    """Every reference that starts at a root.

    Raises:
        InvalidExpression: a step is not named literally, or a name with a hyphen stands behind a dot.
    """
    for index, token in enumerate(tokens):
        if token.text not in ROOTS or token.kind != "name":
            continue
        if index and tokens[index - 1].text == ".":
            continue
        if index + 1 < len(tokens) and tokens[index + 1].text == ":" and index and tokens[index - 1].text in "{,":
            continue
        path, end = _follow(tokens, index)
        if token.text == "steps":
            _check_step(tokens, path, end)
        yield Reference(path)


def _follow(tokens: tuple[Token, ...], index: int) -> tuple[tuple[str, ...], int]:
    path = [tokens[index].text]
    index += 1
    while index + 1 < len(tokens):
        after = tokens[index + 2].text if index + 2 < len(tokens) else ""
        if tokens[index].text == "." and tokens[index + 1].kind == "name" and after != "(":
            path.append(tokens[index + 1].text)
            index += 2
        elif tokens[index].text == "[" and tokens[index + 1].kind == "string" and after == "]":
            path.append(tokens[index + 1].value)
            index += 3
        else:
            break
    return tuple(path), index


def _check_step(tokens: tuple[Token, ...], path: tuple[str, ...], end: int) -> None:
    if len(path) < 2 or not _STEP_NAME.fullmatch(path[1]):
        raise InvalidExpression(
            "a step must be named literally", fix="write steps.reserve.output or steps['send-mail'].output"
        )
    hyphened = _hyphened(tokens, end) if len(path) == 2 else ""
    if hyphened:
        name = path[1] + hyphened
        raise InvalidExpression(
            f"steps.{name} reads as a subtraction, because the name has a hyphen", fix=f"write steps['{name}']"
        )


def _hyphened(tokens: tuple[Token, ...], index: int) -> str:
    """The rest of a hyphenated name that was written behind a dot: "-mail" for `steps.send-mail`."""
    rest = ""
    while (
        index + 1 < len(tokens)
        and tokens[index].text == "-"
        and tokens[index + 1].kind in ("name", "number")
        and tokens[index - 1].end == tokens[index].start
        and tokens[index].end == tokens[index + 1].start
    ):
        rest += "-" + tokens[index + 1].text
        index += 2
        if index < len(tokens) and tokens[index].kind == "name" and tokens[index].start == tokens[index - 1].end:
            rest += tokens[index].text
            index += 1
    return rest
