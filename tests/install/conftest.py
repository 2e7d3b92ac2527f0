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
def dry_run(tmp_path_factory, repository):
    """(what the dry run of a release says, the zip that would be uploaded)"""
    folder = tmp_path_factory.mktemp("comfy-cli")
    python = new_environment(folder / "environment")
    install(python, "comfy-cli.lock")
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "DO_NOT_TRACK": "1", "NO_COLOR": "1"}
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
    file = repository.with_suffix(".zip")
    return run(repository / ".ci" / "dry-run", "v0.0.1", file, cwd=folder, env=environment), file


@pytest.fixture(scope="session")
def archive(dry_run) -> Path:
    """The zip that would be uploaded."""
    return dry_run[1]


@pytest.fixture(scope="session")
def fresh(tmp_path_factory, comfyui_path):
    return FreshComfyUI(comfyui_path, tmp_path_factory.mktemp("fresh"))
