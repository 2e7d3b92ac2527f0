"""One real ComfyUI server for all tests of this folder, with the pack installed under another folder name."""

import os
import shutil

import pytest
from text_layers.benchmarks.comfy_server import running


@pytest.fixture(scope="session")
def server(tmp_path_factory, comfyui_path):
    with running(comfyui_path, tmp_path_factory.mktemp("comfyui")) as server:
        yield server


@pytest.fixture(scope="session")
def browser_path():
    """Debian's Chromium or any Chrome; without one the browser tests cannot run, which in CI is a failure."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if shutil.which(name):
            return shutil.which(name)
    message = "NO BROWSER FOUND: the browser tests did not run. Install chromium."
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
