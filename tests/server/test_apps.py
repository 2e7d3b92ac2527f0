"""Templates as apps, in a wide and in a narrow window: the boxes are told apart, filled, run, and the picture is shown."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from text_layers.scoring.compare import capitals
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.needs_comfyui("0.30")  # whose front ends have apps

WORKFLOWS = Path(__file__).parents[2] / "workflows"
WIDE, NARROW = {"width": 1600, "height": 900}, {"width": 420, "height": 900}
SIGN = 'a white round sign on a green wall that says "{}"'
# template, the labels of its boxes, {box: what is written into it, with the word}
APPS = (
    ("Edit text, change a word - demo U-Net", ["Source: the picture that is kept", "Target: the words that are wanted"], {1: SIGN}),
    ("Change text in a picture - demo MMDiT", ["prompt", "replacements"], {1: "CAFE -> {}"}),
    ("Remove toxic words, guard drawn text - demo U-Net", ["Prompt", "Drawn instead of a toxic word"], {1: "{}"}),
)


@pytest.fixture
def page(canvas):
    """Of a browser whose window's size is changed; as it was afterwards."""
    size = canvas.page.viewport_size
    canvas.page.set_viewport_size(WIDE)
    yield canvas.page
    canvas.page.set_viewport_size(size)


def run(canvas, boxes, word):
    """Writes the word, clicks on Run; the name of the picture's file."""
    for box, text in boxes.items():
        fields(canvas.page).nth(box).fill(text.format(word))
    with canvas.queued() as found:
        canvas.page.get_by_role("button", name="Run", exact=True).locator("visible=true").click()
    (entry,) = found
    assert entry["status"]["status_str"] == "success", entry["status"]
    last = str(canvas.page.evaluate("window.app.graph.extra.linearData.outputs.at(-1)"))
    shown = canvas.server.images(entry)[last].convert("RGB").resize((256, 128))
    assert capitals(engine("RapidOCR").read(np.asarray(shown))) == word
    return entry["outputs"][last]["images"][0]["filename"]


def fields(page):
    return page.get_by_test_id("linear-widgets").locator("textarea, input").locator("visible=true")


def picture(page, file):
    """The shown picture of a file's name, loaded, and in the window."""
    image = page.locator(f"img[src*='{file}']").locator("visible=true").first
    image.wait_for()
    page.wait_for_function("file => [...document.images].some(i => i.src.includes(file) && i.naturalWidth >= 512)", arg=file)
    box, width = image.bounding_box(), page.viewport_size["width"]
    assert 0 < box["x"] + box["width"] / 2 < width and box["width"] <= width + 8, box  # it swings a little when it comes


@pytest.mark.parametrize(
    ("name", "labels", "boxes"), [pytest.param(*app, id=app[0], marks=[pytest.mark.long] if app is not APPS[1] else []) for app in APPS]
)
def test_a_template_opens_as_an_app(canvas, page, name, labels, boxes):
    canvas.drop(WORKFLOWS / f"{name}.json", as_app=True)
    skip = page.get_by_role("button", name="Skip")  # the newest front end offers a tour, once
    if skip.count():
        skip.click()
    expect(page.get_by_test_id("builder-widget-label").locator("visible=true")).to_have_text(labels, timeout=20_000)
    file = run(canvas, boxes, "HOTEL")
    canvas.settle()
    page.screenshot(path=str(canvas.pictures / f"{name} - app.png"))
    picture(page, file)

    page.set_viewport_size(NARROW)
    page.get_by_text("Edit & Run", exact=True).locator("visible=true").first.click()
    expect(page.get_by_test_id("builder-widget-label").locator("visible=true")).to_have_text(labels, timeout=20_000)
    inside = "([box, width]) => box.getBoundingClientRect().left >= 0 && box.getBoundingClientRect().right <= width"
    for box in fields(page).all():  # they swing in
        page.wait_for_function(inside, arg=[box.element_handle(), NARROW["width"]], timeout=20_000)
    page.screenshot(path=str(canvas.pictures / f"{name} - narrow app, filled.png"))
    file = run(canvas, boxes, "LOVE")
    page.get_by_text("Outputs", exact=True).locator("visible=true").first.click()
    canvas.settle()
    page.screenshot(path=str(canvas.pictures / f"{name} - narrow app.png"))
    picture(page, file)


def test_the_explorer_is_an_app_with_its_map(canvas, page):
    canvas.drop(WORKFLOWS / "Explore text layers - demo U-Net.json", as_app=True)
    cell = page.locator(".text-layers-map [data-layer='6']").locator("visible=true")
    cell.wait_for(timeout=60_000)
    with canvas.queued() as found:
        cell.click()
    (entry,) = found
    assert entry["status"]["status_str"] == "success", entry["status"]
    (last,) = page.evaluate("window.app.graph.extra.linearData.outputs.map(String)")
    picture(page, entry["outputs"][last]["images"][0]["filename"])
