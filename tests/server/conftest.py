"""One real ComfyUI server for all tests of this folder, with the pack installed under another folder name."""

import os

import pytest
from text_layers.benchmarks import browser
from text_layers.benchmarks.comfy_server import running


@pytest.fixture(scope="session")
def server(tmp_path_factory, comfyui_path):
    with running(comfyui_path, tmp_path_factory.mktemp("comfyui")) as server:
        yield server


@pytest.fixture(scope="module")
def canvas(server, tmp_path_factory):
    """Without a browser these tests cannot run, which in CI is a failure."""
    if browser.executable() is None:
        message = "NO BROWSER FOUND: the browser tests did not run. Install chromium."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with browser.opened(server, tmp_path_factory.mktemp("profile"), tmp_path_factory.getbasetemp()) as canvas:
        yield canvas
