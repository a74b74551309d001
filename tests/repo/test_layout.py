"""Where things are, and what may not be anywhere."""

import ast
import re
import tomllib

import pytest

from repo.tree import ROOT, SOURCES, files, modules, texts

TOP = {
    *(
        "operator",
        "crds",
        "charts",
        "sdk",
        "dashboard",
        "tests",
        "examples",
        "docs",
        "benchmarks",
        "requirements",
        ".ci",
    ),
    *("Dockerfile", "README.md", "Makefile", "pyproject.toml", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"),
    *(".gitignore", ".editorconfig", ".dockerignore", ".pre-commit-config.yaml"),
}
PACKAGES = (
    *("operator/src/stepwell_engine", "operator/src/stepwell_operator", "sdk/python/src/stepwell_protocol"),
    *("sdk/python/src/stepwell", "dashboard/src/stepwell_dashboard"),
)
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
# Written so that this file does not hold what it forbids.
UNDONE = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
REGISTRIES = re.compile(
    r"\b(?:registry\.[a-z]+js|files\.python[a-z]+|pypi\.[a-z]|proxy\.golang\.|(?:static\.|index\.)?crates\.i|deb\.debian\.|"
    r"repo\d?\.maven|docker\.i|ghcr\.i|quay\.i|registry\.k8s\.|gcr\.i)",
)
MACHINE = re.compile(r"(?<![\w.])/(?:wo" r"rk|ro" r"ot|home/\w+)/|/tmp/s" r"w\b")


def test_the_top_level_holds_what_the_architecture_names() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in files()}
    assert found <= TOP, f"not in the layout: {sorted(found - TOP)}"


def test_the_operator_folder_is_no_package_because_the_standard_library_has_that_name() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {name for name, _ in modules() if VAGUE & set(re.split(r"[/_.]", name.partition("/src/")[2]))}
    assert named == set()


def test_every_module_opens_with_what_it_is_for() -> None:
    silent = [name for name, tree in modules() if tree.body and ast.get_docstring(tree) is None]
    assert silent == []


def test_every_source_folder_belongs_to_a_distribution() -> None:
    declared = set()
    for name in SOURCES:
        project = tomllib.loads((ROOT / name).parent.joinpath("pyproject.toml").read_text())
        packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        declared |= {f"{name.rpartition('/')[0]}/{package}" for package in packages}
    assert declared == set(PACKAGES)


def test_nothing_is_left_undone() -> None:
    assert [name for name, text in texts() if UNDONE.search(text)] == []


def test_no_file_names_a_package_registry() -> None:
    found = {f"{name}: {match[0]}" for name, text in texts() for match in REGISTRIES.finditer(text)}
    assert found == set()


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = {f"{name}: {match[0]}" for name, text in texts() for match in MACHINE.finditer(text)}
    assert found == set()
