"""The rules of the architecture that an import contract can't say. The contracts themselves run in `make check`."""

import ast
import sys

from repo.tree import dotted, imports, modules

ENGINE = "operator/src/stepwell_engine/"
PURE = tuple(ENGINE + name for name in ("machine", "plan", "retry", "flow", "cron", "expressions", "model", "matching"))
UNPURE = {
    "now",
    "utcnow",
    "today",
    "time",
    "monotonic",
    "uuid4",
    "uuid1",
    "uuid7",
    "random",
    "getenv",
    "environ",
    "open",
}
KOPF = {"kopf.on.event", "kopf.index", "kopf.on.startup", "kopf.on.cleanup", "kopf.on.login", "kopf.on.probe"}
WIRE = "sdk/python/src/stepwell_protocol/"


def test_the_wire_needs_the_standard_library_and_httptools_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"httptools", "stepwell_protocol"}
    found = {
        f"{name}: {each}" for name, tree in modules(WIRE) for each in imports(tree) if each.split(".")[0] not in allowed
    }
    assert found == set()


def test_pure_modules_read_no_clock_no_dice_and_no_environment() -> None:
    checked = 0
    found = set()
    for name, tree in modules(*PURE):
        checked += 1
        for node in ast.walk(tree):
            called = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            if called in UNPURE or (isinstance(node, ast.Attribute) and node.attr == "environ"):
                found.add(f"{name}:{getattr(node, 'lineno', 0)}")
    assert checked >= 5
    assert found == set()


def test_kopf_is_an_event_source_and_nothing_more() -> None:
    used = set()
    for name, tree in modules("operator/src/stepwell_operator"):
        if any(each.partition(".")[0] == "kopf" for each in imports(tree)):
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
            used |= {(name, dotted(node)) for node in calls if dotted(node).startswith(("kopf.on.", "kopf.index"))}
            used |= {
                (name, dotted(node)) for node in calls if dotted(node) in {"kopf.timer", "kopf.daemon", "kopf.adopt"}
            }
    assert used, "nothing in the operator watches through kopf"
    assert {each for each in used if each[1] not in KOPF} == set()
