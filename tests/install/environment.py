"""A fresh ComfyUI in an environment of its own, with ComfyUI-Manager, and what a user does there.

Its packages are those that ComfyUI's requirements ask for, with all that these bring, and no other. To save their six gigabytes, their
modules are links to the suite's own environment. An installer finds all of them installed; if it took one out or put in another version, it
would change the new environment alone, as none of the links is in its records.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
OF_THE_USER = ("custom_nodes", "models", "input", "output", "user", "temp", "venv")


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}"
    return done.stdout


def new_environment(folder):
    """The Python of a new, empty environment."""
    run(sys.executable, "-m", "uv", "venv", "--python", sys.executable, folder)
    return folder / "bin" / "python"


def install(python, lock):
    run(sys.executable, "-m", "uv", "pip", "install", "--python", python, "--require-hashes", "-r", REQUIREMENTS / lock)


def needed_by(lines):
    """Distributions that these requirements ask for, directly or not."""
    found, todo = {}, [(Requirement(line), "") for line in lines]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        for extra in {"", *requirement.extras} - found.setdefault(name, set()):
            found[name].add(extra)
            todo += [(Requirement(line), extra) for line in metadata.distribution(name).requires or []]
    return map(metadata.distribution, found)


def lend(distribution, site_packages, modules):
    """The distribution to another environment: it is installed in site_packages, and its modules are found in the folder modules."""
    written = []
    for file in distribution.files:
        top, source = file.parts[0], Path(distribution.locate_file(file))
        if top.endswith(".dist-info") and file.name != "RECORD":
            (site_packages / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, site_packages / file)
            written.append(f"{file},,\n")
        elif top not in ("..", "__pycache__") and not top.endswith(".dist-info") and not (modules / top).exists():
            (modules / top).symlink_to(distribution.locate_file(top))
    record = next(file for file in distribution.files if file.name == "RECORD")
    (site_packages / record).write_text(f"{''.join(written)}{record},,\n")


class FreshComfyUI:
    def __init__(self, comfyui, folder):
        self.folder = folder / "ComfyUI"
        (self.folder / "models").mkdir(parents=True)
        (self.folder / "custom_nodes").mkdir()
        for part in comfyui.iterdir():
            if part.is_file():
                shutil.copy2(part, self.folder)
            elif part.name not in OF_THE_USER and not part.name.startswith((".", "tests")):
                shutil.copytree(part, self.folder / part.name)
        self.custom_nodes = self.folder / "custom_nodes"
        self.python = new_environment(folder / "environment")
        (site_packages,) = (folder / "environment").glob("lib/python*/site-packages")
        lines = (line.split("#")[0].strip() for line in (comfyui / "requirements.txt").read_text().splitlines())
        modules = folder / "modules"
        modules.mkdir()
        (site_packages / "modules.pth").write_text(str(modules))
        for distribution in needed_by([*filter(None, lines), "pip"]):
            lend(distribution, site_packages, modules)
        install(self.python, "comfyui-manager.lock")

    def manager(self, *arguments, registry=None):
        """Manager's command line. What it installs has the versions that the suite runs with: new ones of others' break nothing here."""
        clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment = {**clean, "COMFYUI_PATH": str(self.folder), "UV_CONSTRAINT": str(REQUIREMENTS / "dev.lock")}
        here = f"from comfyui_manager.common import cnr_utils; cnr_utils.base_url = {registry!r}; " if registry else ""
        return run(self.python, "-c", f"{here}from cm_cli.__main__ import main; main()", *arguments, cwd=self.folder, env=environment)

    def has_modules(self, names):
        """Those of the modules that can be imported, as the server would."""
        code = "import sys, importlib.util as u; print(*(n for n in sys.argv[1:] if u.find_spec(n)))"
        return set(run(self.python, "-c", code, *names, cwd=self.folder).split())

    def files(self):
        """All files and folders, but for what Python compiled."""
        return {str(f.relative_to(self.folder)) for f in self.folder.rglob("*") if "__pycache__" not in f.parts}
