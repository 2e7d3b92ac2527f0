"""A graph from nothing, as a hand makes it: search box, nodes, links, words, numbers, Run."""

import io

import numpy as np
import pytest
from PIL import Image
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.needs_comfyui("0.30")  # whose front end is the one that is installed

EMPTY = (900, 1200)  # a place on the canvas where no node comes to lie
# what is typed into the search box, the node's type, where its upper edge is put
NODES = (
    ("Load Text Demo Model", "TextLayersLoadDemoModel", 250, 120),
    ("Text Layers", "TextLayersChoose", 250, 300),
    ("CLIP Text Encode", "CLIPTextEncode", 750, 120),
    ("CLIP Text Encode", "CLIPTextEncode", 750, 370),
    ("CLIP Text Encode", "CLIPTextEncode", 750, 620),
    ("Empty Latent Image", "EmptyLatentImage", 750, 870),
    ("Patch Prompt Into Layers", "TextLayersPatchPrompt", 1250, 120),
    ("KSampler", "KSampler", 1250, 370),
    ("VAE Decode", "VAEDecode", 1650, 120),
    ("Preview Image", "PreviewImage", 1650, 300),
)
MODEL, LAYERS, SOURCE, TARGET, NEGATIVE, LATENT, PATCH, SAMPLER, DECODE, PREVIEW = range(len(NODES))
LINKS = (
    (MODEL, "MODEL", LAYERS, "model"),
    (MODEL, "CLIP", SOURCE, "clip"),
    (MODEL, "CLIP", TARGET, "clip"),
    (MODEL, "CLIP", NEGATIVE, "clip"),
    (MODEL, "MODEL", PATCH, "model"),
    (TARGET, "CONDITIONING", PATCH, "target"),
    (LAYERS, "text_layers", PATCH, "text_layers"),
    (PATCH, "MODEL", SAMPLER, "model"),
    (SOURCE, "CONDITIONING", SAMPLER, "positive"),
    (NEGATIVE, "CONDITIONING", SAMPLER, "negative"),
    (LATENT, "LATENT", SAMPLER, "latent_image"),
    (SAMPLER, "LATENT", DECODE, "samples"),
    (MODEL, "VAE", DECODE, "vae"),
    (DECODE, "IMAGE", PREVIEW, "images"),
)
PROMPTS = {SOURCE: 'a red round sign on a blue wall that says "CAFE"', TARGET: 'a white round sign on a green wall that says "HOTEL"'}
NUMBERS = {LATENT: {"width": "64", "height": "32"}, SAMPLER: {"steps": "12", "cfg": "3"}}


def place(page, script, *values):
    """Where something of the graph is on the screen; script: an expression for [x, y] on the canvas."""
    return page.evaluate(f"v => window.app.canvasPosToClientPos([...({script})(...v)])", list(values))


def add(page, search, kind, x, y):
    """From the search box, which a double click opens; a click then puts the node down."""
    page.mouse.dblclick(*EMPTY)
    page.locator("input:focus").wait_for()
    page.keyboard.type(search)
    page.wait_for_timeout(700)
    page.keyboard.press("Enter")
    page.wait_for_function("window.app.graph.nodes.some(n => n.flags.ghost)")
    page.wait_for_timeout(400)
    page.mouse.move(x, y, steps=5)
    page.wait_for_timeout(400)  # no hand is quicker, and the page would take this click for another's second
    page.mouse.click(x, y)
    page.wait_for_function("!window.app.graph.nodes.some(n => n.flags.ghost)")
    page.wait_for_timeout(500)
    added = page.evaluate("() => window.app.graph.nodes.map(n => [n.id, n.type]).sort((a, b) => b[0] - a[0])[0]")
    assert added[1] == kind, f"the search box gave {added} for {search}"
    return added[0]


def connect(page, source, output, target, name):
    slot = "(id, name) => { const n = window.app.graph.getNodeById(id); return n.%s(n.%s.findIndex(s => s.name === name)) }"
    page.mouse.move(*place(page, slot % ("getOutputPos", "outputs"), source, output))
    page.mouse.down()
    page.mouse.move(*place(page, slot % ("getInputPos", "inputs"), target, name), steps=6)
    page.mouse.up()


def write_number(page, node, name, text):
    at = """(id, name) => {
      const n = window.app.graph.getNodeById(id)
      return [n.pos[0] + n.size[0] - 60, n.pos[1] + n.widgets.find(w => w.name === name).y + 10]
    }"""
    page.mouse.dblclick(*place(page, at, node, name))
    dialog = page.locator(".graphdialog input")
    dialog.fill(text)
    dialog.press("Enter")
    page.wait_for_timeout(200)


def test_a_fresh_graph_draws_the_edit(server, canvas):
    page = canvas.page
    page.evaluate("window.app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait_for_function("window.app.graph.nodes.length === 0")
    page.evaluate("() => { window.app.canvas.ds.scale = 1; window.app.canvas.ds.offset = [0, 0]; window.app.canvas.setDirty(true, true) }")
    ids = []
    for search, kind, x, y in NODES:
        ids.append(add(page, search, kind, x, y))
    for source, output, target, name in LINKS:
        connect(page, ids[source], output, ids[target], name)
    for node, text in PROMPTS.items():
        at = place(page, "id => { const n = window.app.graph.getNodeById(id); return [n.pos[0] + 100, n.pos[1] + 80] }", ids[node])
        page.mouse.click(*at)
        page.keyboard.type(text)
    page.mouse.click(*EMPTY)
    for node, numbers in NUMBERS.items():
        for name, text in numbers.items():
            write_number(page, ids[node], name, text)
    page.screenshot(path=str(canvas.pictures / "by hand.png"))
    assert page.evaluate("[...window.app.graph.links.values()].length") == len(LINKS)
    with canvas.queued() as found:
        page.get_by_role("button", name="Run").first.click()
    assert found[0]["status"]["status_str"] == "success", found[0]["status"]
    page.wait_for_timeout(1500)
    page.screenshot(path=str(canvas.pictures / "by hand - finished.png"))
    picture = Image.open(io.BytesIO(server.pictures(found[0])[str(ids[PREVIEW])])).convert("RGB")
    assert picture.size == (64, 32)
    assert engine("EasyOCR").read(np.asarray(picture), enlarge=4) == "HOTEL"
