"""This checkout as it is published, a git repository and the registry's zip, and a fresh ComfyUI to install them in."""

import os
import shutil
from pathlib import Path

import pytest

from .environment import ROOT, FreshComfyUI, install, new_environment, run


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """What a commit of the checkout as it is now would hold, in a repository of another name."""
    folder = tmp_path_factory.mktemp("git") / "Words-In-Pictures"
    for name in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    run("git", *who, "commit", "--quiet", "--no-verify", "--message", "Publish", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def comfy_node(tmp_path_factory, repository):
    """`comfy node ...` in the repository."""
    folder = tmp_path_factory.mktemp("comfy-cli")
    python = new_environment(folder / "environment")
    install(python, "comfy-cli.lock")
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "DO_NOT_TRACK": "1", "NO_COLOR": "1"}
    return lambda *command: run(python.with_name("comfy"), "--skip-prompt", "node", *command, cwd=repository, env=environment)


@pytest.fixture(scope="session")
def archive(comfy_node, repository) -> Path:
    """The zip that would be uploaded."""
    comfy_node("pack")
    return (repository / "node.zip").rename(repository.with_suffix(".zip"))


@pytest.fixture(scope="session")
def fresh(tmp_path_factory, comfyui_path):
    return FreshComfyUI(comfyui_path, tmp_path_factory.mktemp("fresh"))
