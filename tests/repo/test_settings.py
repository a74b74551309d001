"""Every setting stands in one place, with its meaning."""

import re

from repo.tree import texts
from stepwell_engine.settings import VARIABLES

FOLDERS = ("operator/src", "sdk/", "dashboard/src", "examples/", "benchmarks/", "charts/", "Makefile", "README.md")
SETTING = re.compile(r"\bSTEPWELL_[A-Z]+(?:_[A-Z]+)*\b")


def test_every_variable_that_is_read_or_named_is_documented() -> None:
    found = {
        (variable, name) for name, text in texts() if name.startswith(FOLDERS) for variable in SETTING.findall(text)
    }
    assert found
    assert {each for each in found if each[0] not in VARIABLES} == set()


def test_no_documented_variable_is_without_use() -> None:
    used = {
        variable
        for name, text in texts(".py")
        if name.startswith(FOLDERS)
        for variable in SETTING.findall(text.partition("VARIABLES")[0] + text.partition("\n}\n")[2])
    }
    assert set(VARIABLES) - used == set()
