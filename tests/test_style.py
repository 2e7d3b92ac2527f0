"""Lint and format of Python, types of the three folders in which the others stand, which folder may import which, lint of JavaScript."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[1]
TYPED = ("patching", "localization", "scoring")


def tool(name, *arguments, cwd=ROOT):
    """(passes, what it says) of a program of the environment."""
    program = shutil.which(name, path=Path(sys.executable).parent)
    done = subprocess.run([program, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    return done.returncode == 0, done.stdout


def types(folder, *of):
    """folder: holds the pack as text_layers."""
    where = ("--python", sys.prefix, "--extra-search-path", os.environ["COMFYUI_PATH"], "--python-version", "3.10")
    return tool("ty", "check", "--project", folder, *where, "--error-on-warning", *(f"text_layers/{one}" for one in of), cwd=folder)


def javascript(folder):
    return tool("oxlint", "--deny-warnings", "--config", ROOT / ".oxlintrc.json", folder)


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids="-".join)
def test_ruff(command):
    passes, said = tool("ruff", *command, ".")
    assert passes, said


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="dev.lock has other numpy and matplotlib, and so other types, for each Python")
def test_types(tmp_path):
    (tmp_path / "text_layers").symlink_to(ROOT, target_is_directory=True)
    passes, said = types(tmp_path, *TYPED)
    assert passes, said


def test_types_are_looked_at_across_files(tmp_path):
    package = tmp_path / "text_layers"
    shutil.copytree(ROOT / "patching", package / "patching")
    (package / "__init__.py").touch()
    (package / "wrong.py").write_text("from .patching.place import Steps\n\nSteps([1.0, 0.0]).to_went\n")
    passes, said = types(tmp_path, "wrong.py")
    assert not passes and "to_went" in said and "Found 1 diagnostic" in said


# As CONTRIBUTING.md draws them: each only imports from what is below it.
FLOORS = (
    ("nodes",),
    ("localization", "lora", "guard", "editing", "inversion"),
    ("commands",),
    ("demo", "deepfloyd"),
    ("patching", "scoring"),
)  # fmt: skip


def imported(path):
    """Folders of the pack that a file imports from."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = path.relative_to(ROOT).parts[: -node.level]
            names = (node.module or "").split(".") if node.module else [alias.name for alias in node.names]
            yield (*above, *names)[0]


@pytest.mark.parametrize("number", range(len(FLOORS)), ids=[" ".join(floor) for floor in FLOORS])
def test_folders_import_only_from_those_below(number):
    below = {folder for floor in FLOORS[number + 1 :] for folder in floor}
    for folder in FLOORS[number]:
        files = list((ROOT / folder).rglob("*.py"))
        wrong = {path.relative_to(ROOT).as_posix(): other for path in files for other in imported(path) if other not in {folder} | below}
        assert files and not wrong


def test_javascript():
    passes, said = javascript(ROOT / "web")
    assert passes and "11 files" in said, said


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("parse, write }", "parse, wrote }", "named"),
        ("const written =", "const writen =", "no-undef"),
        ("list !== undefined", "list != 0", "eqeqeq"),
    ],
    ids=["import", "name", "comparison"],
)
def test_javascript_that_is_wrong_is_seen(tmp_path, right, wrong, rule):
    shutil.copytree(ROOT / "web", tmp_path / "web")
    script = tmp_path / "web" / "text_layers.js"
    text = script.read_text("utf-8")
    assert text.count(right) == 1
    script.write_text(text.replace(right, wrong), "utf-8")
    passes, said = javascript(tmp_path / "web")
    assert not passes and f"({rule})" in said, said
