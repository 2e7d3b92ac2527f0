"""The pack's subgraph blueprints: offered by the server, placed from the search box in a real browser, and run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from text_layers.demo.signs import read_colours
from text_layers.scoring.compare import capitals
from text_layers.scoring.ocr import engine
from text_layers.testing.comfy_server import FOLDER

from .hand import EMPTY, add, blank, connect, place, write_number, write_prompt

pytestmark = pytest.mark.needs_comfyui("0.30")  # whose front end is the one that is installed

FILES = sorted((Path(__file__).parents[2] / "subgraphs").glob("*.json"))
BOUNDARY = {"origin_id": -10, "target_id": -20}  # the ids of a subgraph's own inputs and outputs
# What stands around a placed blueprint is put there by a script: [type, x, y, widgets] and [from, output, to, input]
LATENT = ["EmptyLatentImage", 250, 350, {"width": 64, "height": 32}]
AROUND_EDIT = [["TextLayersLoadDemoModel", 250, 120, {}], LATENT, ["PreviewImage", 1400, 120, {}], ["PreviewImage", 1400, 500, {}]]
AROUND_GUARD = [
    ["TextLayersLoadDemoModel", 250, 120, {}],
    LATENT,
    ["CLIPTextEncode", 700, 500, {}],
    ["KSampler", 1400, 120, {"seed": 1, "steps": 12, "cfg": 3}],
    ["VAEDecode", 1750, 120, {}],
    ["PreviewImage", 1950, 120, {}],
]
LINKS_AROUND_GUARD = [
    [0, "CLIP", 2, "clip"],
    [2, "CONDITIONING", 3, "negative"],
    [1, "LATENT", 3, "latent_image"],
    [3, "LATENT", 4, "samples"],
    [0, "VAE", 4, "vae"],
    [4, "IMAGE", 5, "images"],
]
_BUILD = """([nodes, links]) => {
  const made = nodes.map(([type, x, y, values]) => {
    const node = window.LiteGraph.createNode(type)
    node.pos = [x, y]
    window.app.graph.add(node)
    for (const widget of node.widgets ?? []) if (widget.name in values) widget.value = values[widget.name]
    return node
  })
  const index = (slots, name) => slots.findIndex((slot) => slot.name === name)
  for (const [from, output, to, input] of links) {
    made[from].connect(index(made[from].outputs, output), made[to], index(made[to].inputs, input))
  }
  return made.map((one) => one.id)
}"""


def picture(server, entry, node):
    return np.asarray(server.images(entry)[str(node)].convert("RGB"))


def read(image):
    return capitals(engine("RapidOCR").read(image, enlarge=4))


def test_the_server_offers_them_as_the_packs(server):
    offered = {
        number: one for number, one in server.json("/global_subgraphs").items() if one["info"]["node_pack"] == f"custom_nodes.{FOLDER}"
    }
    assert FILES and sorted(one["name"] for one in offered.values()) == [path.stem for path in FILES]
    for number, one in offered.items():
        (path,) = (path for path in FILES if path.stem == one["name"])
        assert server.json(f"/global_subgraphs/{number}")["data"] == path.read_text("utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_what_is_inside_is_known_to_the_server(server, path):
    """Every node, input, output and value; and each link is known at both its ends."""
    blueprint, info = json.loads(path.read_text("utf-8")), server.json("/object_info")
    (subgraph,) = blueprint["definitions"]["subgraphs"]
    (host,) = blueprint["nodes"]
    assert (host["type"], host["title"], subgraph["name"]) == (subgraph["id"], path.stem, path.stem)
    assert subgraph["category"] == "text layers" and subgraph["description"]
    assert [(s["name"], s["type"]) for s in host["inputs"]] == [(s["name"], s["type"]) for s in subgraph["inputs"]]
    assert [(s["name"], s["type"]) for s in host["outputs"]] == [(s["name"], s["type"]) for s in subgraph["outputs"]]
    assert len(host["widgets_values"]) == sum("widget" in s for s in host["inputs"])
    ends = set()
    for node in subgraph["nodes"]:
        about = info[node["type"]]
        declared = about["input"].get("required", {}) | about["input"].get("optional", {})
        assert {slot["name"] for slot in node["inputs"]} == set(declared)
        assert [slot["type"] for slot in node["outputs"]] == about["output"]
        values = list(node["widgets_values"])
        for slot in node["inputs"]:
            options = declared[slot["name"]]
            assert slot["type"] == ("COMBO" if isinstance(options[0], list) else options[0])
            if "widget" in slot:
                value = values.pop(0)
                choices = options[0] if isinstance(options[0], list) else options[1].get("options")
                assert not choices or value in choices
                if slot["name"] == "seed":
                    assert values.pop(0) == "fixed"  # the same picture each time: only the words are to differ
            else:
                assert slot["link"] or slot["name"] in about["input"].get("optional", {}), slot["name"]
        assert not values
        ends |= {(slot["link"], "target_id", node["id"], at) for at, slot in enumerate(node["inputs"]) if slot["link"]}
        ends |= {(link, "origin_id", node["id"], at) for at, slot in enumerate(node["outputs"]) for link in slot["links"]}
    for end, side in (("origin_id", "inputs"), ("target_id", "outputs")):
        ends |= {(link, end, BOUNDARY[end], at) for at, slot in enumerate(subgraph[side]) for link in slot["linkIds"]}
    links = subgraph["links"]
    assert ends == {(link["id"], f"{e}_id", link[f"{e}_id"], link[f"{e}_slot"]) for link in links for e in ("origin", "target")}


def test_edit_drawn_word_changes_the_word_alone(wide):
    canvas, server, page = wide, wide.server, wide.page
    blank(page)
    model, latent, edited, source = page.evaluate(_BUILD, [AROUND_EDIT, []])
    edit = add(page, "Edit Drawn Word", "Edit Drawn Word", 800, 120)
    for output, name in (("MODEL", "model"), ("CLIP", "clip"), ("VAE", "vae")):
        connect(page, model, output, edit, name)
    connect(page, latent, "LATENT", edit, "latent_image")
    connect(page, edit, "edit", edited, "images")
    connect(page, edit, "source", source, "images")
    write_prompt(page, edit, "source_prompt", 'a red round sign on a blue wall that says "CAFE"')
    write_prompt(page, edit, "target_prompt", 'a white round sign on a green wall that says "HOTEL"')
    page.mouse.click(*EMPTY)
    for name, text in (("steps", "12"), ("cfg", "3"), ("start_step", "0")):
        write_number(page, edit, name, text)
    page.screenshot(path=str(canvas.pictures / "Edit Drawn Word.png"))
    with canvas.queued() as found:
        page.get_by_role("button", name="Run").first.click()
    assert found[0]["status"]["status_str"] == "success", found[0]["status"]
    canvas.settle()
    page.screenshot(path=str(canvas.pictures / "Edit Drawn Word - finished.png"))
    edited, source = picture(server, found[0], edited), picture(server, found[0], source)
    assert (read(edited), read(source)) == ("HOTEL", "CAFE")
    assert read_colours(edited) == read_colours(source) == ("blue", "red")
    look_inside(canvas, edit, "Edit Drawn Word")


def test_guarded_prompt_draws_the_replacement(wide):
    canvas, server, page = wide, wide.server, wide.page
    blank(page)
    model, *_, sampler, _, preview = page.evaluate(_BUILD, [AROUND_GUARD, LINKS_AROUND_GUARD])
    guard = add(page, "Guarded Prompt", "Guarded Prompt", 800, 120)
    for output, name in (("MODEL", "model"), ("CLIP", "clip")):
        connect(page, model, output, guard, name)
    for name in ("model", "positive"):
        connect(page, guard, name, sampler, name)
    prompt = 'a red round sign on a blue wall that says "CRAP"'
    write_prompt(page, guard, "prompt", prompt)
    write_number(page, guard, "replacement", "LOVE")
    page.screenshot(path=str(canvas.pictures / "Guarded Prompt.png"))
    entry = canvas.run()
    assert entry["status"]["status_str"] == "success", entry["status"]
    queued = entry["prompt"][2].values()
    assert [node["inputs"]["prompt"] for node in queued if node["class_type"] == "TextLayersGuard"] == [prompt]
    assert prompt in [node["inputs"]["text"] for node in queued if node["class_type"] == "CLIPTextEncode"]
    drawn = picture(server, entry, preview)
    assert read(drawn) == "LOVE"
    assert read_colours(drawn) == ("blue", "red")
    look_inside(canvas, guard, "Guarded Prompt")


def look_inside(canvas, node, name):
    """Opened by the button in its title bar, and then unpacked, it has the nodes of its file, and none is missing."""
    page = canvas.page
    (path,) = (path for path in FILES if path.stem == name)
    (subgraph,) = json.loads(path.read_text("utf-8"))["definitions"]["subgraphs"]
    inner = sorted(one["type"] for one in subgraph["nodes"])
    button = "id => { const n = window.app.graph.getNodeById(id); return [n.pos[0] + n.size[0] - 15, n.pos[1] - 15] }"
    page.mouse.click(*place(page, button, node))
    page.wait_for_function("name => window.app.canvas.graph.name === name", arg=name)
    assert shown(page) == inner
    canvas.screenshot(f"{name} - inside.png")
    page.evaluate("window.app.canvas.setGraph(window.app.graph)")
    around = shown(page)
    around.remove(page.evaluate("id => window.app.graph.getNodeById(id).type", node))  # an id of its own, new with each placing
    page.evaluate("id => window.app.canvas.select(window.app.graph.getNodeById(id))", node)
    page.evaluate("window.app.extensionManager.command.execute('Comfy.Graph.UnpackSubgraph')")
    page.wait_for_function("id => !window.app.graph.getNodeById(id)", arg=node)
    assert shown(page) == sorted(around + inner)


def shown(page):
    assert not re.search(r"missing node|some nodes are missing", page.inner_text("body"), re.I)
    assert not page.evaluate("window.app.canvas.graph.nodes.some(n => n.has_errors)")
    return sorted(page.evaluate("window.app.canvas.graph.nodes.map(n => n.type)"))
