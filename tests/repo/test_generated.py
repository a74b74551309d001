"""What is generated says what its source says (`make verify`)."""

import subprocess
import sys

from repo.tree import ROOT


def test_no_generated_file_differs_from_its_source() -> None:
    command = [sys.executable, str(ROOT / "requirements" / "generate.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
