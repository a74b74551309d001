"""The Dockerfile, as far as it can be judged without an engine to build it, and the wheels that it is made of."""

import fnmatch
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from repo.tree import ROOT

Instruction = tuple[str, str]


@pytest.fixture(scope="module")
def stages() -> dict[str, list[Instruction]]:
    """Each stage's instructions by its name; the last stage is ""."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    found: dict[str, list[Instruction]] = {}
    stage = "none"
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = rest.partition(" AS ")[2]
        found.setdefault(stage, []).append((word, rest))
    return found


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What the three wheels hold, by distribution, built as the image builds them."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    sources = [str(ROOT / name) for name in ("sdk/python", "operator", "dashboard")]
    subprocess.run([*command, "--wheel-dir", str(folder), *sources], check=True, timeout=120)
    return {path.name.partition("-")[0]: set(zipfile.ZipFile(path).namelist()) for path in folder.glob("*.whl")}


def test_the_image_runs_as_a_numbered_user_who_is_not_root(stages: dict[str, list[Instruction]]) -> None:
    users = [rest for word, rest in stages[""] if word == "USER"]
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[0])


def test_base_images_are_named_without_a_host_and_never_float(stages: dict[str, list[Instruction]]) -> None:
    for name, instructions in stages.items():
        image = instructions[0][1].partition(" ")[0]
        assert re.fullmatch(r"[a-z]+:\d+(\.\d+)?-slim", image), f"{name or 'the last stage'}: {image}"


def test_no_instruction_adds_from_outside_or_keeps_a_secret(stages: dict[str, list[Instruction]]) -> None:
    every = [each for instructions in stages.values() for each in instructions]
    assert not [each for each in every if each[0] == "ADD" or "://" in each[1] or "curl" in each[1]]
    assert not [each for each in every if each[0] in {"ARG", "ENV"} and re.search("TOKEN|KEY|PASSWORD", each[1])]


def test_packages_are_installed_by_hash(stages: dict[str, list[Instruction]]) -> None:
    installs = [rest for word, rest in stages["build"] if word == "RUN" and "install" in rest]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install


def test_what_is_copied_exists_and_is_not_ignored(stages: dict[str, list[Instruction]]) -> None:
    copied = [
        source
        for instructions in stages.values()
        for word, rest in instructions
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert len(copied) >= 8
    for source in copied:
        assert (ROOT / source).exists(), source
        assert not _ignored(source), source


def test_what_the_page_is_built_from_is_not_the_machines_own(stages: dict[str, list[Instruction]]) -> None:
    for path in ("dashboard/ui/node_modules", "dashboard/src/stepwell_dashboard/page", ".venv", ".git"):
        assert _ignored(path), path


def test_the_image_starts_the_engine_and_has_every_process(
    stages: dict[str, list[Instruction]], wheels: dict[str, set[str]]
) -> None:
    assert ("CMD", '["stepwell-engine"]') in stages[""]
    assert set(wheels) == {"stepwell", "stepwell_operator", "stepwell_dashboard"}


def test_wheels_carry_everything_that_is_needed_beside_code(wheels: dict[str, set[str]]) -> None:
    for folder, wheel in (("operator/src", "stepwell_operator"), ("sdk/python/src", "stepwell")):
        wanted = {
            path.relative_to(ROOT / folder).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert wanted
        assert wanted - wheels[wheel] == set()
    assert {"stepwell_dashboard/page/index.html", "stepwell_dashboard/py.typed"} <= wheels["stepwell_dashboard"]


def _ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out: its last pattern that matches decides, as Docker has it."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        parents = [path, *(parent.as_posix() for parent in Path(path).parents)]
        if any(fnmatch.fnmatch(each, pattern) for each in parents):
            ignored = not line.startswith("!")
    return ignored
