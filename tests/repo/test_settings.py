"""Every setting stands in one place, with its meaning: the engine's list, or for an app's own settings the SDK's."""

import ast
import re

from repo.tree import ROOT, texts
from stepwell_engine.settings import VARIABLES

FOLDERS = ("operator/src", "sdk/", "dashboard/src", "examples/", "charts/", "Makefile", "README.md")
SDK = ROOT / "sdk" / "python" / "src" / "stepwell" / "settings.py"
SETTING = re.compile(r"\bSTEPWELL_[A-Z]+(?:_[A-Z]+)*\b")


def test_every_variable_that_is_read_or_named_is_documented() -> None:
    found = {
        (variable, name) for name, text in texts() if name.startswith(FOLDERS) for variable in SETTING.findall(text)
    }
    assert found
    sdk = set(SETTING.findall(ast.get_docstring(ast.parse(SDK.read_text())) or ""))
    assert {each for each in found if each[0] not in {*VARIABLES, *sdk}} == set()


def test_no_documented_variable_is_without_use() -> None:
    used = {
        variable
        for name, text in texts(".py")
        if name.startswith(FOLDERS)
        for variable in SETTING.findall(text.partition("VARIABLES")[0] + text.partition("\n}\n")[2])
    }
    assert set(VARIABLES) - used == set()
