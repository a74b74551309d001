"""Templates: `${{ }}` in strings, anywhere inside a JSON value.

    "${{ input.count }}"             → 3            one whole expression keeps its type
    "order ${{ input.id }} is in"    → "order 7 is in"
    "no template"                    → itself

A literal `${{` is written `${{ '${{' }}`. In mixed text a text goes in as it is, everything else as compact JSON.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from .evaluate import Expression, compile_expression
from .failure import ExpressionError, InvalidExpression
from .tokens import scan

_OPEN: Final = "${{"
MOST_TEXT: Final = 1_000_000


def render(value: Any, scope: Mapping[str, Any], *, path: str) -> Any:
    """The value with every template in it replaced. Keys are never templates.

    Raises:
        ExpressionError: naming the place inside `path`.
    """
    match value:
        case str():
            return _rendered(value, scope, path)
        case Mapping():
            return {key: render(member, scope, path=member_path(path, key)) for key, member in value.items()}
        case list() | tuple():
            return [render(item, scope, path=f"{path}[{index}]") for index, item in enumerate(value)]
        case _:
            return value


def render_url(text: str, scope: Mapping[str, Any], *, path: str) -> str:
    """A URL or path with its templates replaced. Every value is percent-encoded, so that data fills a segment or a
    query value and can't reach another resource.

    Raises:
        ExpressionError: naming `path`.
    """
    parts = parse(text)
    return "".join(part if isinstance(part, str) else _segment(part, scope, path) for part in parts)


def expressions_in(value: Any, *, path: str) -> Iterator[tuple[str, Expression | InvalidExpression]]:
    """Every expression inside a value with the path of the string that holds it, or what is wrong with it."""
    match value:
        case str():
            try:
                for part in parse(value):
                    if isinstance(part, Expression):
                        yield path, part
            except InvalidExpression as error:
                yield path, error
        case Mapping():
            for key, member in value.items():
                yield from expressions_in(member, path=member_path(path, key))
        case list() | tuple():
            for index, item in enumerate(value):
                yield from expressions_in(item, path=f"{path}[{index}]")


def member_path(path: str, key: object) -> str:
    return f"{path}.{key}" if str(key).replace("-", "_").isidentifier() else f"{path}[{key!r}]"


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[str | Expression, ...]:
    """The literal and the templated parts of a string, in order.

    Raises:
        InvalidExpression: a template isn't closed, or its expression is refused.
    """
    parts: list[str | Expression] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        if start > at:
            parts.append(text[at:start])
        end = _end(text, start + len(_OPEN))
        parts.append(compile_expression(text[start + len(_OPEN) : end].strip()))
        at = end + 2
    if at < len(text) or not parts:
        parts.append(text[at:])
    return tuple(parts)


def _end(text: str, start: int) -> int:
    """Where the `}}` of a template stands: the first one outside of strings and of maps."""
    open_maps = 0
    for token in scan(text, start):
        if token.text == "{":
            open_maps += 1
        elif token.text == "}":
            if not open_maps and text.startswith("}}", token.start):
                return token.start
            open_maps -= 1
    raise InvalidExpression("a template is opened with ${{ and never closed", fix="close it with }}")


def _rendered(text: str, scope: Mapping[str, Any], path: str) -> Any:
    if _OPEN not in text:
        return text
    parts = parse(text)
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return parts[0].evaluate(scope, path=path)
    joined = "".join(part if isinstance(part, str) else _as_text(part.evaluate(scope, path=path)) for part in parts)
    if len(joined) > MOST_TEXT:
        raise ExpressionError(
            f"the text would have {len(joined):,} characters, more than {MOST_TEXT:,}", source=text, path=path
        )
    return joined


def _segment(part: Expression, scope: Mapping[str, Any], path: str) -> str:
    value = _as_text(part.evaluate(scope, path=path))
    if value in (".", ".."):
        raise ExpressionError(f"{value!r} would lead to another path", source=part.source, path=path)
    return quote(value, safe="")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
