"""CEL's tokens, as far as static checks need them: where strings, names and brackets are.

The compiler in the library says whether an expression is well formed; these tokens only answer what it doesn't tell:
which steps an expression names, which names its loops bind, and where a template ends. Anything odd becomes a token
of its own and is left for the compiler to refuse.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<string>[rRbB]{0,2}(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)
  | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def value(self) -> str:
        """The characters of a string token without its quotes; escapes stay as written."""
        body = self.text.lstrip("rRbB")
        quotes = 3 if body[:3] in ('"""', "'''") else 1
        return body[quotes:-quotes]


def scan(source: str, start: int = 0) -> Iterator[Token]:
    """The tokens of `source` from `start` on, without space and comments."""
    for found in _TOKEN.finditer(source, start):
        if found.lastgroup != "space":
            yield Token(str(found.lastgroup), found.group(), found.start())


def depth(tokens: tuple[Token, ...]) -> int:
    """How deep brackets nest."""
    deepest = now = 0
    for token in tokens:
        if token.kind == "mark":
            now += (token.text in "([{") - (token.text in ")]}")
            deepest = max(deepest, now)
    return deepest
