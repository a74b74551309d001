"""The repository as git sees it: what a clone would hold, uncommitted files included."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("operator/src", "sdk/python/src", "dashboard/src")


@cache
def files() -> tuple[Path, ...]:
    """Every file that is tracked or would be: what .gitignore names is left out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(sorted(ROOT / name for name in set(listed.split("\0")) if name and (ROOT / name).is_file()))


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Every text file (of these suffixes, if any are given) as (path from the root, text)."""
    for path in files():
        if suffixes and path.suffix not in suffixes:
            continue
        body = path.read_bytes()
        if b"\0" not in body:
            yield path.relative_to(ROOT).as_posix(), body.decode()


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every Python module under the folders as (path from the root, syntax tree)."""
    for name, text in texts(".py"):
        if name.startswith(folders or SOURCES):
            yield name, ast.parse(text, name)


def imports(tree: ast.Module) -> Iterator[str]:
    """The names of absolute imports anywhere in a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module


def dotted(node: ast.expr) -> str:
    """`kopf.on.event` of the expression that spells it; "" of any other."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value)}.{attr}"
        case ast.Call(func=func):
            return dotted(func)
    return ""
