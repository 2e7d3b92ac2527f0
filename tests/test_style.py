"""ruff's lint and format pass on every file."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids="-".join)
def test_ruff(command):
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
