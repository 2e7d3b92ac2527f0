"""Every module of the benchmarks can be loaded: a name that has moved is seen here, and not when a figure is measured anew."""

import importlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[2]
# A package's command parses its arguments when it is loaded, so that its parts are looked at.
MODULES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for folder in ("benchmarks", "demo", "testing")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if file.name != "__main__.py" or "def main(" in file.read_text("utf-8")
]


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__init__")])
def test_it_can_be_loaded(module):
    importlib.import_module(f"text_layers.{module}")
