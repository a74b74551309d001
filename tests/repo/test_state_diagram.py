"""The docs draw the states that the engine has (`make generate` writes the page, this holds it in place)."""

import subprocess
import sys

from repo.tree import ROOT

PAGE = ROOT / "docs" / "state-machine.md"


def test_the_page_holds_the_diagram_that_the_table_of_states_prints() -> None:
    command = [sys.executable, "-m", "stepwell_engine.machine"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert printed.startswith("```mermaid\nstateDiagram-v2\n")
    assert printed.strip() in PAGE.read_text()
