"""`make generate` and `make verify`: everything in the repository that is made from something else in it.

| what | from |
| --- | --- |
| crds/*.yaml | the operator's pydantic models |
| charts/stepwell/templates/crd-*.yaml | crds/*.yaml |
| docs/state-machine.md | the engine's table of states |
| sdk/python/src/stepwell/sync_client.py | the async client |
| dashboard/openapi.json and the page's API types | the dashboard's routes |

With --check nothing is written; each file that differs is named, and the exit status is 1.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRDS = ROOT / "crds"
TEMPLATES = ROOT / "charts" / "stepwell" / "templates"
DIAGRAM = ROOT / "docs" / "state-machine.md"
UI = ROOT / "dashboard" / "ui"


class GenerationFailed(Exception):
    """A generator could not run. The message says which and why."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="requirements/generate.py")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when a file is not what its source says"
    )
    check = bool(parser.parse_args().check)
    stale: list[str] = []
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for path, text in wanted(Path(scratch)):
                if text is None:
                    stale.append(f"{path.relative_to(ROOT)} has no source any more")
                    if not check:
                        path.unlink()
                elif not path.exists() or path.read_text() != text:
                    stale.append(f"{path.relative_to(ROOT)} is not what its source says")
                    if not check:
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_text(text)
    except GenerationFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    for line in stale:
        print(f"{line}: run `make generate`" if check else f"wrote {line.split()[0]}", file=sys.stderr)
    return 1 if check and stale else 0


def wanted(scratch: Path) -> Iterator[tuple[Path, str | None]]:
    """Every generated file with the text it should have; None: it should not be there."""
    fresh = scratch / "crds"
    output([sys.executable, "-m", "stepwell_operator.resources", str(fresh)])
    yield from folder(CRDS, {path.name: path.read_text() for path in fresh.glob("*.yaml")}, "*.yaml")
    templates = {
        f"crd-{path.stem.partition('.')[0]}.yaml": crd_template(path.read_text()) for path in fresh.glob("*.yaml")
    }
    yield from folder(TEMPLATES, templates, "crd-*.yaml")
    yield DIAGRAM, diagram()
    sdk = ROOT / "sdk" / "python"
    yield (
        sdk / "src" / "stepwell" / "sync_client.py",
        output([sys.executable, str(sdk / "tools" / "sync_client.py"), "--print"]),
    )
    yield from page_types(scratch)


def folder(where: Path, texts: dict[str, str], pattern: str) -> Iterator[tuple[Path, str | None]]:
    for name in sorted({path.name for path in where.glob(pattern)} | set(texts)):
        yield where / name, texts.get(name)


def crd_template(crd: str) -> str:
    """A CRD as a template: Helm upgrades it with the release and, with crds.keep, leaves it when the release goes."""
    found = re.search(r"^metadata: \{name: (\S+)\}\n", crd, re.MULTILINE)
    if found is None:
        raise GenerationFailed("a CRD begins otherwise than crd_template expects: no line `metadata: {name: …}`")
    before, after = escaped(crd[: found.start()]), escaped(crd[found.end() :])
    metadata = f"""metadata:
  name: {found[1]}
  labels:
    {{{{- include "stepwell.labels" (list $ "crds") | nindent 4 }}}}
  {{{{- if .Values.crds.keep }}}}
  annotations:
    helm.sh/resource-policy: keep
  {{{{- end }}}}
"""
    return "{{- if .Values.crds.enabled }}\n" + before + metadata + after + "{{- end }}\n"


def escaped(text: str) -> str:
    """Stepwell's own `${{ }}` in a description is not Helm's."""
    return text.replace("{{", '{{ "{{" }}')


def diagram() -> str:
    drawn = output([sys.executable, "-m", "stepwell_engine.machine"]).strip("\n")
    return f"""# The states of a run

Drawn from the one table in `operator/src/stepwell_engine/machine.py` by `make generate`; not edited by hand. What is not in it
can't happen: the journal's statements are guarded by it.

{drawn}
"""


def page_types(scratch: Path) -> Iterator[tuple[Path, str | None]]:
    openapi = output([sys.executable, "-m", "stepwell_dashboard.openapi"])
    yield ROOT / "dashboard" / "openapi.json", openapi
    source, target = scratch / "openapi.json", scratch / "schema.d.ts"
    source.write_text(openapi)
    output(["npm", "exec", "--silent", "--", "openapi-typescript", str(source), "-o", str(target)], cwd=UI)
    yield UI / "src" / "api" / "schema.d.ts", target.read_text()


def output(command: list[str], *, cwd: Path = ROOT) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GenerationFailed(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr).rstrip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
