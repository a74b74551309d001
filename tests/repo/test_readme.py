"""The README keeps its word: the promises are the design's, its examples are files that tests run, its links lead somewhere."""

import re
import textwrap
from pathlib import Path

import pytest

from repo.tree import ROOT, texts

README = (ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else ""
PROMISES = (Path(__file__).parent / "promises.md").read_text()
BLOCKS = re.findall(r"(?ms)^```(yaml|python)\n(.*?)^```$", README)


@pytest.mark.parametrize("number", range(1, 13))
def test_a_promise_stands_in_the_readme_word_for_word(number: int) -> None:
    assert _promise(number, PROMISES) is not None
    assert _promise(number, README) == _promise(number, PROMISES)


def test_the_readme_shows_a_manifest_and_code() -> None:
    assert {language for language, _ in BLOCKS} == {"yaml", "python"}


@pytest.mark.parametrize(("language", "block"), BLOCKS)
def test_an_example_of_the_readme_is_an_excerpt_of_an_example_that_tests_run(language: str, block: str) -> None:
    wanted = _lines(block)
    suffixes = {"yaml": (".yaml", ".yml"), "python": (".py",)}[language]
    sources = [_lines(text) for name, text in texts(*suffixes) if name.startswith("examples/")]
    assert any(
        wanted == _lines("\n".join(lines[at : at + len(wanted)])) for lines in sources for at in range(len(lines))
    )


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


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in textwrap.dedent(text).strip("\n").splitlines()]
