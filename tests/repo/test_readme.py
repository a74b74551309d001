"""The README keeps its word: the promises are the design's, its manifests are right, its links lead somewhere.

test_readme_code.py runs its code.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from repo.tree import ROOT, texts
from stepwell_engine.definition import parse_function, parse_schedule, parse_workflow
from stepwell_operator.resources import API_VERSION, KIND_BY_NAME

README = (ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else ""
PROMISES = (Path(__file__).parent / "promises.md").read_text()
READERS: dict[str, Callable[[Mapping[str, Any], str], object]] = {
    "Function": lambda document, name: parse_function(document, name=name),
    "Workflow": lambda document, name: parse_workflow(document, name=name),
    "Schedule": lambda document, _: parse_schedule(document),
}
BLOCKS = re.findall(r"(?ms)^```(yaml|python)\n(.*?)^```$", README)


@pytest.mark.parametrize("number", range(1, 13))
def test_a_promise_stands_in_the_readme_word_for_word(number: int) -> None:
    assert _promise(number, PROMISES) is not None
    assert _promise(number, README) == _promise(number, PROMISES)


def test_the_readme_shows_a_manifest_and_code() -> None:
    assert {language for language, _ in BLOCKS} == {"yaml", "python"}


@pytest.mark.parametrize("block", [block for language, block in BLOCKS if language == "yaml"])
def test_a_manifest_of_the_readme_is_one_that_the_engine_takes(block: str) -> None:
    manifests = list(yaml.safe_load_all(block))
    assert manifests
    for manifest in manifests:
        kind, spec = KIND_BY_NAME[manifest["kind"]], manifest["spec"]
        assert manifest["apiVersion"] == API_VERSION
        kind.spec.model_validate(spec)
        document = {key: value for key, value in spec.items() if key != "appRef"}
        READERS[manifest["kind"]](document, manifest["metadata"]["name"])


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    documents = {name: text for name, text in texts(".md") if name in {"README.md", "CONTRIBUTING.md"}}
    named = {
        (name, each)
        for name, text in documents.items()
        for each in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)
    }
    assert {target for _, target in named} >= {"demo", "test"}
    assert {each for each in named if each[1] not in targets} == set()


def test_links_between_our_documents_lead_somewhere() -> None:
    broken = set()
    for name, text in texts(".md"):
        prose = re.sub(r"(?ms)^```.*?^```$|`[^`]*`", "", text)
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|<img[^>]*\ssrc=\"([^\"]+)\"", prose):
            target = link[0] or link[1]
            if "://" not in target and not (ROOT / name).parent.joinpath(target).exists():
                broken.add(f"{name}: {target}")
    assert broken == set()


def _promise(number: int, text: str) -> str | None:
    found = re.search(rf"(?ms)^- \*\*R{number}\*\* (.*?)(?=^- |^#|^$|\Z)", text)
    return " ".join(found[1].split()) if found else None
