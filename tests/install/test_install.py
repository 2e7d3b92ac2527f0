"""The pack goes into a fresh ComfyUI and out again by ComfyUI-Manager, from the registry's zip and from a git URL.

The registry itself is not asked: one on this machine has the pack. Packages stay when Manager uninstalls a pack; it never removes any.
"""

import ast
import json
import re
import sys
import zipfile
from collections import Counter
from urllib.parse import quote

import pytest
from packaging.requirements import Requirement
from text_layers.testing.comfy_server import started

from .environment import ROOT
from .registry import registry

pytestmark = pytest.mark.needs_comfyui("0.30")

NODES = {file.stem for file in (ROOT / "web" / "docs").glob("*.md")}
OPTIONAL = {"bitsandbytes", "diffusers", "rapidocr", "ray", "easyocr_en_models"}  # the pack does without, or says what to install
# What ComfyUI and Manager write whatever packs there are
OF_COMFYUI = re.compile(r"server\.log|input(/3d)?|output|temp(/comfy\.compare\..*)?|user(/(comfyui[^/]*|__manager.*|default))?")


def test_the_dry_run_of_a_release_says_what_is_missing_and_what_is_packed(dry_run):
    said, archive = dry_run
    assert said.startswith("MISSING:\nThe tag is v0.0.1, and pyproject.toml says") and "comfy node validate: all checks passed" in said
    with zipfile.ZipFile(archive) as packed:
        names = [info.filename for info in packed.infolist()]
    assert f"comfy node pack: {len(names)} files, " in said
    told = re.findall(r"^(\S+) +(\d+) files", said, re.M)
    assert {top: int(count) for top, count in told} == Counter(name.split("/")[0] for name in names)


def test_the_zip_has_all_that_runs_and_nothing_of_development(archive):
    with zipfile.ZipFile(archive) as packed:
        names = set(packed.namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {
        "__init__.py", "pyproject.toml", "requirements.txt", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE",
        "nodes", "localization", "lora", "guard", "inversion", "patching", "scoring", "editing", "deepfloyd", "demo", "commands",
        "web", "locales", "workflows", "subgraphs", "docs",
    }  # fmt: skip
    for folder in ("nodes", "patching", "web", "locales", "workflows", "subgraphs", "demo/weights", "demo/words"):
        here = {str(f.relative_to(ROOT)) for f in (ROOT / folder).rglob("*") if f.is_file() and f.suffix != ".pyc"}
        assert here and here <= names, here - names
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert {name.replace("%20", " ") for name in shown} <= names
    assert archive.stat().st_size < 25e6


def imported(file):
    """Names of the modules outside the pack and Python that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.long
@pytest.mark.parametrize("source", ["registry", "git"])
def test_manager_installs_and_uninstalls(source, fresh, archive, repository, tmp_path, monkeypatch):
    before = fresh.files()
    if source == "registry":
        lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
        wanted = {Requirement(line).name for line in lines if line and not line.startswith("#")}
        assert {"easyocr", "peft"} <= wanted and not fresh.has_modules(wanted), "this ComfyUI is not fresh"
        name, version = (re.search(rf'^{key} = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)[1] for key in ("name", "version"))
        with registry(name, version, archive) as address:
            fresh.manager("install", name, "--mode", "local", "--exit-on-fail", registry=address)
    else:
        name = repository.name
        fresh.manager("install", f"file://localhost{repository}", "--exit-on-fail")
    assert [path.name for path in fresh.custom_nodes.iterdir()] == [name]
    folder = fresh.custom_nodes / name

    with zipfile.ZipFile(archive) as packed:
        code = [folder / file for file in packed.namelist() if file.endswith(".py")]
    modules = {module for file in code for module in imported(file)} - sys.stdlib_module_names
    assert modules - fresh.has_modules(modules) <= OPTIONAL, "requirements.txt lacks these"

    drawn = set()
    if source == "registry":  # a server with a clone under another name is what tests/server has
        with monkeypatch.context() as elsewhere:
            for variable in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
                elsewhere.setenv(variable, str(tmp_path))
            with started(fresh.python, fresh.folder, fresh.folder, "--enable-manager", "--disable-manager-ui") as server:
                check_what_is_served(server, name, folder)
                use(server, source)
        drawn = {f"output/{source}-{picture}_00001_.png" for picture in ("source", "edit")}
    fresh.manager("uninstall", name)
    left = {file for file in fresh.files() - before if not OF_COMFYUI.fullmatch(file)}
    assert left == drawn
    # uv's cache: Manager asks uv where pip has not said its version in five seconds.
    outside = [path.name for path in tmp_path.iterdir() if not path.name.startswith("torchinductor") and path.name != "uv"]
    assert outside == [], "left outside of ComfyUI"


def check_what_is_served(server, name, folder):
    info = server.json("/object_info")
    assert {node for node, about in info.items() if about["python_module"] == f"custom_nodes.{name}"} == NODES
    for node in NODES:
        assert server.get(f"/extensions/{name}/docs/{node}.md") == (folder / "web" / "docs" / f"{node}.md").read_bytes()
    translated = server.json("/i18n")
    for language in (path.name for path in (ROOT / "locales").iterdir()):
        assert set(translated[language]["nodeDefs"]) >= NODES, language
    templates = server.json("/workflow_templates")[name]
    assert set(templates) == {path.stem for path in (ROOT / "workflows").glob("*.json")}
    for template in templates:
        assert json.loads(server.get(f"/api/workflow_templates/{quote(name)}/{quote(template)}.json"))["nodes"]
        assert server.get(f"/api/workflow_templates/{quote(name)}/{quote(template)}.jpg")
    blueprints = [one["name"] for one in server.json("/global_subgraphs").values() if one["info"]["node_pack"] == f"custom_nodes.{name}"]
    assert set(blueprints) == {path.stem for path in (ROOT / "subgraphs").glob("*.json")}


def use(server, prefix):
    """A template runs; what it saves is the user's."""
    workflow = json.loads((ROOT / "workflows" / "Edit text, change a word - demo U-Net.json").read_text())
    prompt = server.api_prompt(workflow)
    for node in prompt.values():
        if node["class_type"] == "SaveImage":
            node["inputs"]["filename_prefix"] = f"{prefix}-{node['inputs']['filename_prefix'].rsplit('-')[-1]}"
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
