"""Workflows in a real browser: dropped on the canvas, queued, and compared with the API's pictures."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.needs_comfyui("0.30")  # whose front end is the one that is installed

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def page(server, browser_path, tmp_path_factory):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("profile")
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=browser_path, headless=True, args=FLAGS, viewport={"width": 2400, "height": 1300}
        )
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_function("window.app?.graph && window.app?.extensionManager", timeout=120_000)
        page.wait_for_timeout(2000)
        yield page
        context.close()


DROP = """async ([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, {type: "application/json"}));
  const canvas = document.querySelector("#graph-canvas");
  const box = canvas.getBoundingClientRect();
  const at = {bubbles: true, cancelable: true, dataTransfer: data, clientX: box.x + 400, clientY: box.y + 300};
  for (const kind of ["dragenter", "dragover", "drop"]) canvas.dispatchEvent(new DragEvent(kind, at));
}"""


def drop(page, path):
    workflow = json.loads(path.read_text())
    page.evaluate(DROP, [path.name, path.read_text()])
    page.wait_for_function("n => window.app.graph.nodes.length === n", arg=len(workflow["nodes"]), timeout=30_000)
    page.wait_for_timeout(1000)
    return workflow


def screenshot(page, tmp_path_factory, name):
    """For people to look at; pytest keeps the folders of the last three runs."""
    page.evaluate("window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    page.wait_for_timeout(1000)
    page.screenshot(path=str(tmp_path_factory.getbasetemp() / name))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_dropped_workflow_has_no_missing_node(server, page, path, tmp_path_factory):
    workflow = drop(page, path)
    known = set(server.json("/object_info")) | {"MarkdownNote"}
    assert {n["type"] for n in workflow["nodes"]} <= known
    state = page.evaluate("window.app.graph.nodes.map(n => [n.type, n.has_errors ?? false, n.constructor.nodeData?.name ?? n.type])")
    assert sorted(t for t, _, _ in state) == sorted(n["type"] for n in workflow["nodes"])
    assert not re.search(r"missing node|some nodes are missing", page.inner_text("body"), re.I)
    screenshot(page, tmp_path_factory, f"{path.stem}.png")


@pytest.mark.parametrize("path", [w for w in WORKFLOWS if w.name.startswith("Edit") and "demo" in w.name], ids=lambda p: p.stem)
def test_a_queued_demo_workflow_gives_the_apis_pictures(server, page, path, tmp_path_factory):
    workflow = drop(page, path)
    before = set(server.json("/history"))
    page.evaluate("window.app.queuePrompt(0)")
    number = None
    for _ in range(600):
        page.wait_for_timeout(500)
        new = set(server.json("/history")) - before
        if new:
            number = new.pop()
            break
    assert number, "the browser's prompt did not finish"
    entry = server.wait(number)
    assert entry["status"]["status_str"] == "success", entry["status"]
    screenshot(page, tmp_path_factory, f"{path.stem} - finished.png")
    shown = "window.app.graph.nodes.find(n => n.type === 'TextLayersChoose').widgets.map(w => String(w.value)).join('\\n')"
    page.wait_for_function(f"() => /\\d of \\d text layers .*\\n\\d: /.test({shown})", timeout=20_000)  # says which layers it took
    server.post("/free", {"unload_models": True, "free_memory": True})  # so that the API's pictures are drawn, not remembered
    api = server.run(server.api_prompt(workflow))
    assert pixels(server, entry) == pixels(server, api)


def test_localize_shows_itself_at_work_and_its_answer(server, page, tmp_path_factory):
    path = next(w for w in WORKFLOWS if w.name.startswith("Localize") and "demo U-Net" in w.name)
    drop(page, path)
    before = set(server.json("/history"))
    shown = "window.app.graph.nodes.find(n => n.type === 'TextLayersLocalize').widgets.map(w => String(w.value)).join('\\n')"
    page.evaluate("window.app.queuePrompt(0)")
    page.wait_for_function(f"() => /\\d+ model calls left in this round/.test({shown})", timeout=120_000)
    page.wait_for_timeout(3000)
    screenshot(page, tmp_path_factory, "Localize at work.png")
    page.wait_for_function(f"() => /\\d of 9 text layers decide the drawn word/.test({shown})", timeout=300_000)
    while not (new := set(server.json("/history")) - before):  # the nodes behind it are still running
        page.wait_for_timeout(200)
    assert server.wait(new.pop())["status"]["status_str"] == "success"
    page.wait_for_timeout(2000)
    screenshot(page, tmp_path_factory, f"{path.stem} - finished.png")


def test_training_shows_itself_at_work_and_mends_the_word(server, page, tmp_path_factory):
    (path,) = (w for w in WORKFLOWS if w.name.startswith("Train"))
    drop(page, path)
    before = set(server.json("/history"))
    shown = "window.app.graph.nodes.find(n => n.type === 'TextLayersTrainLora').widgets.map(w => String(w.value)).join('\\n')"
    page.evaluate("window.app.queuePrompt(0)")
    page.wait_for_function(f"() => /step [3-7]\\d of \\d+, loss 0/.test({shown})", timeout=300_000)
    screenshot(page, tmp_path_factory, "Train at work.png")
    while not (new := set(server.json("/history")) - before):
        page.wait_for_timeout(500)
    entry = server.wait(new.pop())
    assert entry["status"]["status_str"] == "success", entry["status"]
    page.wait_for_timeout(2000)
    screenshot(page, tmp_path_factory, f"{path.stem} - finished.png")
    read = {}
    for node in json.loads(path.read_text())["nodes"]:
        if node["type"] == "SaveImage":
            picture = Image.open(io.BytesIO(server.pictures(entry)[str(node["id"])])).convert("RGB")
            read[node["title"]] = engine("EasyOCR").read(np.asarray(picture.resize((256, 128))))
    assert read["After"] == "NO" != read["Before"]


def pixels(server, entry):
    return {node: Image.open(io.BytesIO(data)).tobytes() for node, data in server.pictures(entry).items()}
