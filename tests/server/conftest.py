"""One real ComfyUI server for all tests of this folder, with the pack installed under another folder name; and one that serves the newest
front end. A browser for every file, with a page of each."""

import os

import comfyui_version
import pytest
from playwright.sync_api import expect
from text_layers.testing import browser
from text_layers.testing.comfy_server import ROOT, running

NEWEST = ROOT / ".dev" / "newest-front-end" / "comfyui_frontend_package" / "static"
OLDEST = comfyui_version.__version__.startswith("0.3.")
SIZE = (1500, 900)  # a page draws without a GPU: each pixel costs


@pytest.fixture(scope="session")
def server(tmp_path_factory, comfyui_path):
    with running(comfyui_path, tmp_path_factory.mktemp("comfyui")) as server:
        yield server


@pytest.fixture(scope="session")
def newest_server(tmp_path_factory, comfyui_path):
    with running(comfyui_path, tmp_path_factory.mktemp("newest"), "--front-end-root", str(NEWEST)) as server:
        yield server


@pytest.fixture(scope="module")  # as long as one runs, no other test of the process can have an event loop of its own
def chromium():
    """Without a browser these tests cannot run, which in CI is a failure."""
    if browser.executable() is None:
        message = "NO BROWSER FOUND: the browser tests did not run. Install chromium."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=30_000)  # on a busy machine playwright's five seconds can be too few
    with browser.launched() as chromium:
        yield chromium


@pytest.fixture(scope="module")  # what one file leaves open would lie over another's nodes
def pinned_canvas(chromium, server, tmp_path_factory):
    """With the front end that this ComfyUI asks for."""
    yield from opened(chromium, server, pictures(tmp_path_factory, "pinned"))


@pytest.fixture(scope="module")
def newest_canvas(chromium, newest_server, tmp_path_factory):
    yield from opened(chromium, newest_server, pictures(tmp_path_factory, "newest"))


def opened(chromium, server, folder):
    with browser.opened(chromium, server, folder, SIZE) as canvas:
        for panel in ("Comfy.Minimap.Visible", *(["Comfy.RightSidePanel.IsOpen"] if not OLDEST else [])):
            canvas.set(panel, False)  # it would lie over nodes, and is drawn all the time
        yield canvas


def pictures(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp() / name
    folder.mkdir(exist_ok=True)
    return folder


PINNED = pytest.param("pinned_canvas", id="pinned", marks=[] if OLDEST else pytest.mark.long)


@pytest.fixture(scope="module", params=[PINNED] + [pytest.param("newest_canvas", id="newest")] * (not OLDEST))
def canvas(request):
    """With each of the front ends: for what is the page's business. The pinned one is as a rule asked by those tests alone that name it."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def wide(canvas):
    """The same in a window in which a whole graph lies at its own size, for what hands do."""
    canvas.page.set_viewport_size({"width": 2400, "height": 1300})
    yield canvas
    canvas.page.set_viewport_size(dict(zip(("width", "height"), SIZE, strict=True)))
