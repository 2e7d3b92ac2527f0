"""A graph from nothing, as a hand makes it: search box, nodes, links, words, numbers, Run."""

import numpy as np
import pytest
from text_layers.scoring.compare import capitals
from text_layers.scoring.ocr import engine

from .hand import EMPTY, add, blank, connect, write_number, write_prompt

pytestmark = pytest.mark.needs_comfyui("0.30")  # whose front end is the one that is installed

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


# test_subgraphs.py puts nodes down, links and fills them, in a smaller graph.
@pytest.mark.long
@pytest.mark.parametrize("canvas", ["newest_canvas"], indirect=True)
def test_a_fresh_graph_draws_the_edit(wide):
    canvas, server, page = wide, wide.server, wide.page
    blank(page)
    ids = []
    for search, kind, x, y in NODES:
        ids.append(add(page, search, kind, x, y))
    for source, output, target, name in LINKS:
        connect(page, ids[source], output, ids[target], name)
    for node, text in PROMPTS.items():
        write_prompt(page, ids[node], "text", text)
    page.mouse.click(*EMPTY)
    for node, numbers in NUMBERS.items():
        for name, text in numbers.items():
            write_number(page, ids[node], name, text)
    page.screenshot(path=str(canvas.pictures / "by hand.png"))
    assert page.evaluate("[...window.app.graph.links.values()].length") == len(LINKS)
    with canvas.queued() as found:
        page.get_by_role("button", name="Run").first.click()
    assert found[0]["status"]["status_str"] == "success", found[0]["status"]
    canvas.settle()
    page.screenshot(path=str(canvas.pictures / "by hand - finished.png"))
    picture = server.images(found[0])[str(ids[PREVIEW])].convert("RGB")
    assert picture.size == (64, 32)
    assert capitals(engine("RapidOCR").read(np.asarray(picture), enlarge=4)) == "HOTEL"
