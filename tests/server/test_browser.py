"""Workflows in a real browser: dropped on the canvas, queued, and compared with the API's pictures."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from text_layers.localization.pairs import DEFAULT
from text_layers.scoring.compare import capitals
from text_layers.scoring.ocr import engine

from .hand import open_template, template_card

pytestmark = pytest.mark.needs_comfyui("0.30")  # whose front end is the one that is installed

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))


# With the newest front end: with the pinned one as many as other tests run there.
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_dropped_workflow_has_no_missing_node(newest_canvas, path):
    canvas = newest_canvas
    workflow = canvas.drop(path)
    inside = workflow.get("definitions", {}).get("subgraphs", [])
    known = set(canvas.server.nodes) | {"MarkdownNote"} | {graph["id"] for graph in inside}
    assert {n["type"] for graph in (workflow, *inside) for n in graph["nodes"]} <= known
    state = canvas.page.evaluate("window.app.graph.nodes.map(n => [n.type, n.has_errors ?? false, n.constructor.nodeData?.name ?? n.type])")
    assert sorted(t for t, _, _ in state) == sorted(n["type"] for n in workflow["nodes"])
    assert not re.search(r"missing node|some nodes are missing", canvas.page.inner_text("body"), re.I)


@pytest.mark.parametrize("path", [w for w in WORKFLOWS if w.name.startswith("Edit") and "demo" in w.name], ids=lambda p: p.stem)
def test_a_queued_demo_workflow_gives_the_apis_pictures(server, pinned_canvas, path):
    canvas = pinned_canvas
    workflow = canvas.drop(path)
    entry = canvas.run()
    assert entry["status"]["status_str"] == "success", entry["status"]
    canvas.screenshot(f"{path.stem} - finished.png")
    if any(node["type"] == "TextLayersChoose" for node in workflow["nodes"]):
        canvas.wait_for_widgets("TextLayersChoose", r"\d of \d text layers .*\n\d: ", 20)  # says which layers it took
    server.forget()  # so that the API's pictures are drawn, not remembered
    api = server.run(server.api_prompt(workflow))
    assert server.pixels(entry) == server.pixels(api)


# Half of the template's pairs, and the faster engine.
FEWER_PAIRS = """() => {
  const node = window.app.graph.nodes.find(n => n.type === "TextLayersLocalize")
  const widget = name => node.widgets.find(w => w.name === name)
  widget("word_pairs").value = widget("word_pairs").value.split("\\n").slice(0, 17).join("\\n")
  widget("ocr").value = "RapidOCR"
}"""


def test_localize_shows_itself_at_work_and_its_answer(newest_canvas):
    canvas = newest_canvas
    path = next(w for w in WORKFLOWS if w.name.startswith("Localize") and "demo U-Net" in w.name)
    canvas.drop(path)
    canvas.page.evaluate(FEWER_PAIRS)
    with canvas.queued() as found:
        canvas.page.evaluate("window.app.queuePrompt(0)")
        canvas.wait_for_widgets("TextLayersLocalize", r"\d+ of about \d+ model calls, about .* left", 120)
        canvas.screenshot("Localize at work.png")
        canvas.wait_for_widgets("TextLayersLocalize", r"\d of 9 text layers decide the drawn word", 300)
    assert found[0]["status"]["status_str"] == "success"
    expect(canvas.page.locator(".text-layers-map .count").first).to_contain_text("not sure")  # the map says what was not shown
    canvas.screenshot(f"{path.stem} - finished.png")


def test_an_interrupted_search_says_how_it_goes_on(server, pinned_canvas):
    """And the list of pairs is tall enough, and filled from a file."""
    canvas = pinned_canvas
    path = next(w for w in WORKFLOWS if w.name.startswith("Localize") and "demo U-Net" in w.name)
    canvas.drop(path)
    find = "window.app.graph.nodes.find(n => n.type === 'TextLayersLocalize').widgets"
    box = f"{find}.find(w => w.name === 'word_pairs').element"
    node = "window.app.graph.nodes.find(n => n.type === 'TextLayersLocalize')"
    view = f"Object.assign(window.app.canvas.ds, {{scale: 1, offset: [200 - {node}.pos[0], 100 - {node}.pos[1]]}})"
    canvas.page.evaluate(f"{view}; window.app.canvas.setDirty(true, true)")  # what is far or out of sight is not laid out
    canvas.page.wait_for_function(f"{box}.clientHeight / (1.25 * parseFloat(getComputedStyle({box}).fontSize)) >= 8", timeout=10_000)
    with canvas.page.expect_file_chooser() as chosen:
        canvas.page.evaluate(f"{find}.find(w => w.type === 'button' && /word pairs/.test(w.name)).callback()")
    pairs = "source,target\n" + "\n".join(DEFAULT.splitlines()[-30:]) + "\n"
    chosen.value.set_files({"name": "mine.csv", "mimeType": "text/csv", "buffer": pairs.replace("\n", "\r\n").encode()})
    canvas.page.wait_for_function(f"pairs => {find}.find(w => w.name === 'word_pairs').value === pairs", arg=pairs)
    canvas.page.evaluate(f"{find}.find(w => w.name === 'strategy').value = 'exhaustive'")  # long enough to be interrupted anywhere
    with canvas.queued() as found:
        canvas.page.evaluate("window.app.queuePrompt(0)")
        canvas.wait_for_widgets("TextLayersLocalize", r"model calls", 120)
        server.post("/interrupt", {})
        canvas.wait_for_widgets("TextLayersLocalize", r"queue again to go on", 60)
    assert found[0]["status"]["status_str"] == "error"
    canvas.screenshot("Localize interrupted.png")


@pytest.mark.long
def test_training_shows_itself_at_work_and_mends_the_word(server, pinned_canvas):
    canvas = pinned_canvas
    (path,) = (w for w in WORKFLOWS if w.name.startswith("Train"))
    canvas.drop(path)
    with canvas.queued() as found:
        canvas.page.evaluate("window.app.queuePrompt(0)")
        canvas.wait_for_widgets("TextLayersTrainLora", r"step [3-7]\d of \d+, loss 0", 300)
        canvas.screenshot("Train at work.png")
    (entry,) = found
    assert entry["status"]["status_str"] == "success", entry["status"]
    canvas.screenshot(f"{path.stem} - finished.png")
    read = {}
    for node in json.loads(path.read_text())["nodes"]:
        if node["type"] == "SaveImage":
            picture = server.images(entry)[str(node["id"])].convert("RGB")
            read[node["title"]] = capitals(engine("RapidOCR").read(np.asarray(picture.resize((256, 128)))))
    assert read["After"] == "NO" != read["Before"]


def test_a_help_page_opens_with_its_picture(canvas):
    canvas.drop(ROOT / "workflows" / "Edit text, change a word - demo U-Net.json")
    canvas.fit()
    canvas.page.locator(".text-layers-map .count").click()  # somewhere on the node
    canvas.page.mouse.move(5, 700)
    canvas.page.get_by_test_id("info-button").click()
    picture = canvas.page.locator("img[src*='TextLayersChoose.webp']")
    picture.wait_for(timeout=20_000)
    canvas.page.wait_for_function("document.querySelector(\"img[src*='TextLayersChoose.webp']\").naturalWidth > 300")
    canvas.page.screenshot(path=str(canvas.pictures / "help.png"))


_ALL_ARE_THERE = """() => {
  const widths = [...document.querySelectorAll("[role=dialog] img")].map((image) => image.naturalWidth)
  return widths.length > 0 && Math.min(...widths) >= 400
}"""


def test_templates_are_offered_with_their_pictures_and_open(canvas):
    page = canvas.page
    path = next(w for w in WORKFLOWS if w.name.startswith("Explore") and "U-Net" in w.name)
    card = template_card(page, path)
    page.wait_for_function(_ALL_ARE_THERE, timeout=20_000)
    page.screenshot(path=str(canvas.pictures / "templates.png"))
    open_template(page, card, path)
