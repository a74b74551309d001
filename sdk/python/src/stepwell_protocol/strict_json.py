"""JSON from the other side of the wire, parsed strictly, with the received bytes of any part at hand.

Payloads are stored and passed on as the bytes that were received, so they must mean the same to everyone who parses
them later. Refused, with `StrictJsonError` naming the place: nesting deeper than 64, NaN and Infinity, numbers with
more than 308 digits in a row or beyond a double's range, duplicate keys, lone surrogates, the character U+0000
(Postgres cannot hold it), invalid UTF-8, and what is not JSON at all. Nothing else is raised, whatever the bytes are;
in particular no RecursionError and no quadratic work.

Two ways lead through. The judge is the standard library's scanner with strict hooks; it also keeps the text of each
member of the objects that the wire knows, so that `raw` gives a member's own bytes back. A process that holds a faster
codec (the engine: orjson) passes it in: when the codec writes exactly the bytes it read, the document can hold no
duplicate key, no odd number and no odd spelling, and its parts can be written again byte for byte; otherwise the judge
decides.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

DEEPEST: Final = 64
MOST_DIGITS: Final = 308

_STRINGS: Final = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL
)  # possessive and never failing: linear on any input
_NUL_ESCAPE: Final = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_TO_CURLY: Final = bytes.maketrans(b"[]", b"{}")
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_DIGIT_RUN: Final = b"0" * (MOST_DIGITS + 1)


class StrictJsonError(ValueError):
    """The bytes are not JSON that both sides would read alike. `place` names the document or the part of it."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class Codec(NamedTuple):
    """A fast JSON reader and writer.

    The reader must refuse NaN, invalid UTF-8 and lone surrogates; the writer must write compactly.
    """

    loads: Callable[[bytes], Any]
    dumps: Callable[[Any], bytes]


class Sliced(dict[str, Any]):
    """An object whose members' own text is kept beside their values."""

    __slots__ = ("texts",)

    texts: dict[str, str]

    def raw(self, key: str) -> bytes:
        """The bytes of a member, as received."""
        return self.texts[key].encode()


def loads(raw: bytes, *, place: str = "body", codec: Codec | None = None) -> Any:
    """Parse strictly.

    Raises:
        StrictJsonError: the bytes are refused; the message names the place and the reason.
    """
    prescan(raw, place=place)
    if codec is not None:
        try:
            value = codec.loads(raw)
        except (ValueError, RecursionError):
            pass
        else:
            if codec.dumps(value) == raw:
                return value
    text, decoder = _text(raw, place)
    try:
        value, end = decoder.raw_decode(text, _skip(text, 0))
        if (rest := _skip(text, end)) != len(text):
            raise _broken(place, text, rest, "text after the end of the document")
    except _FAULTS as fault:
        raise _refusal(place, text, fault) from None
    _refuse_surrogates(raw, value, place)
    return value


def load_sliced(raw: bytes, *, place: str, inner: frozenset[str] = frozenset(), codec: Codec | None = None) -> Any:
    """Parse strictly, keeping the text of members, for documents whose parts are stored as received.

    The text is kept for the outermost object, or the objects of the outermost array, and for the objects in arrays that
    are members named in `inner`, at any depth that only such members lead to. Where the codec proved that it writes
    what it read, plain dicts come back: `slice_of` serves both.

    Raises:
        StrictJsonError: as `loads`.
    """
    prescan(raw, place=place)
    if codec is not None:
        try:
            value = codec.loads(raw)
        except (ValueError, RecursionError):
            pass
        else:
            if codec.dumps(value) == raw:
                return value
    text, decoder = _text(raw, place)
    try:
        start = _skip(text, 0)
        if text.startswith("[", start):
            value, end = _array(text, start, decoder, inner, place)
        elif text.startswith("{", start):
            value, end = _object(text, start, decoder, inner, place)
        else:
            value, end = decoder.raw_decode(text, start)
        if (rest := _skip(text, end)) != len(text):
            raise _broken(place, text, rest, "text after the end of the document")
    except _FAULTS as fault:
        raise _refusal(place, text, fault) from None
    _refuse_surrogates(raw, value, place)
    return value


def slice_of(holder: dict[str, Any], key: str, *, codec: Codec | None) -> bytes:
    """The received bytes of a member of an object that `load_sliced` gave, with the same codec."""
    if isinstance(holder, Sliced):
        return holder.raw(key)
    assert codec is not None, "only a codec yields plain objects"
    return codec.dumps(holder[key])


def prescan(raw: bytes, *, place: str) -> None:
    """Refuse what can be told from the bytes alone: too deep nesting and U+0000.

    For JSON that is otherwise known to be good.
    """
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _too_deep(raw):
        raise StrictJsonError(place, f"nested deeper than {DEEPEST} levels")
    if b"\\u0000" in raw and _NUL_ESCAPE.search(raw):
        raise StrictJsonError(place, "contains the character U+0000, which cannot be stored: remove it")


def _too_deep(raw: bytes) -> bool:
    brackets = _STRINGS.sub(b"", raw).translate(_TO_CURLY, _NOT_BRACKETS)
    for _ in range(DEEPEST):
        fewer = brackets.replace(b"{}", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    return brackets.count(b"{") > DEEPEST or b"{}" in brackets


def _text(raw: bytes, place: str) -> tuple[str, json.JSONDecoder]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise StrictJsonError(place, f"not valid UTF-8 at byte {error.start}") from None
    many_digits = len(raw) > MOST_DIGITS and _DIGIT_RUN in raw.translate(_TO_ZERO)
    return text, _COUNTING if many_digits else _STRICT


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _object(text: str, at: int, decoder: json.JSONDecoder, inner: frozenset[str], place: str) -> tuple[Sliced, int]:
    found = Sliced()
    found.texts = texts = {}
    at = _skip(text, at + 1)
    if text.startswith("}", at):
        return found, at + 1
    while True:
        if not text.startswith('"', at):
            raise _broken(place, text, at, "expected a member name in double quotes")
        key, at = decoder.raw_decode(text, at)
        if key in found:
            raise _Duplicate(key)
        at = _skip(text, at)
        if not text.startswith(":", at):
            raise _broken(place, text, at, "expected ':' after a member name")
        start = _skip(text, at + 1)
        if key in inner and text.startswith("[", start):
            found[key], end = _array(text, start, decoder, inner, place)
        else:
            found[key], end = decoder.raw_decode(text, start)
        texts[key] = text[start:end]
        at = _skip(text, end)
        if text.startswith("}", at):
            return found, at + 1
        if not text.startswith(",", at):
            raise _broken(place, text, at, "expected ',' or '}' after a member")
        at = _skip(text, at + 1)


def _array(text: str, at: int, decoder: json.JSONDecoder, inner: frozenset[str], place: str) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = _skip(text, at + 1)
    if text.startswith("]", at):
        return found, at + 1
    while True:
        if text.startswith("{", at):
            item, at = _object(text, at, decoder, inner, place)
        else:
            item, at = decoder.raw_decode(text, at)
        found.append(item)
        at = _skip(text, at)
        if text.startswith("]", at):
            return found, at + 1
        if not text.startswith(",", at):
            raise _broken(place, text, at, "expected ',' or ']' after an array's item")
        at = _skip(text, at + 1)


class _Duplicate(ValueError):
    """A member name that occurs twice in one object."""


class _BadNumber(ValueError):
    """A number that not every reader can hold."""


_FAULTS: Final = (ValueError, RecursionError)


def _refusal(place: str, text: str, fault: BaseException) -> StrictJsonError:
    match fault:
        case StrictJsonError():
            return fault
        case json.JSONDecodeError():
            return _broken(place, text, fault.pos, fault.msg)
        case _Duplicate():
            return StrictJsonError(place, f"the key {_shown(str(fault))} occurs twice in one object")
        case RecursionError():
            return StrictJsonError(place, f"nested deeper than {DEEPEST} levels")
        case _:
            return StrictJsonError(place, str(fault))


def _broken(place: str, text: str, at: int, reason: str) -> StrictJsonError:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return StrictJsonError(place, f"not JSON at line {line} column {column}: {reason[:1].lower()}{reason[1:]}")


def _refuse_surrogates(raw: bytes, value: Any, place: str) -> None:
    if b"\\ud" in raw or b"\\uD" in raw:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise StrictJsonError(
                place, "contains half of a surrogate pair (\\ud800 to \\udfff): it is not a character"
            ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(key)
            seen.add(key)
    return members


def _refuse_constant(name: str) -> Any:
    raise _BadNumber(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _BadNumber(f"the number {_shown(text)} is beyond the range of a double")
    return value


def _short_int(text: str) -> int:
    if len(text.lstrip("-")) > MOST_DIGITS:
        raise _BadNumber(f"the number {_shown(text)} has more than {MOST_DIGITS} digits")
    return int(text)


def _short_float(text: str) -> float:
    if _DIGIT_RUN in text.encode().translate(_TO_ZERO):
        raise _BadNumber(f"the number {_shown(text)} has more than {MOST_DIGITS} digits in a row")
    return _finite(text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse_constant, parse_float=_finite)
_COUNTING: Final = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_refuse_constant, parse_float=_short_float, parse_int=_short_int
)
