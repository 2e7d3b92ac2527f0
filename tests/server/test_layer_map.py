"""The map of text layers in a real browser: mouse, keyboard, both of the front end's node renderers, all of its palettes."""

import json
import random
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect
from text_layers.patching.text_layers import TextLayers, list_layers, parse_layers

from .workflow_models import model_of

pytestmark = pytest.mark.needs_comfyui("0.30")  # whose front end is the one that is installed

ROOT = Path(__file__).parents[2]
EDIT = ROOT / "workflows" / "Edit text, change a word - demo U-Net.json"
EXPLORE = ROOT / "workflows" / "Explore text layers - demo U-Net.json"
NAMES = json.loads(EDIT.read_text())["nodes"][6]["properties"]["text layers map"]["names"]
PALETTES = ("dark", "light", "solarized", "arc", "nord", "github")


@pytest.fixture(scope="module", params=[False, True], ids=["canvas nodes", "Vue nodes"])
def renderer(request, canvas):
    canvas.set("Comfy.VueNodes.Enabled", request.param)
    yield request.param
    canvas.set("Comfy.VueNodes.Enabled", False)  # the server keeps it, for the browsers of other tests, too


@pytest.fixture
def one_renderer(canvas):
    """Vue nodes on the newest front end, canvas nodes on the pinned one: for what costs much and is drawn by the same elements in both."""
    before = canvas.page.evaluate("window.app.extensionManager.setting.get('Comfy.VueNodes.Enabled')")
    canvas.set("Comfy.VueNodes.Enabled", canvas.pictures.name == "newest")
    yield
    canvas.set("Comfy.VueNodes.Enabled", before)


@pytest.fixture
def choose(canvas, renderer):
    """The map of Text Layers in a workflow just opened."""
    canvas.drop(EDIT)
    canvas.fit()
    return canvas.page.locator(".text-layers-map")


def cell(layers, number):
    return layers.locator(f"[data-layer='{number}']")


def selected(layers):
    return [int(c.get_attribute("data-layer")) for c in layers.locator("[aria-selected='true']").all()]


def written(canvas):
    widgets = canvas.widgets("TextLayersChoose")
    return widgets["choice"], widgets["layers"]


def drag(canvas, layers, first, last, steps=8):
    boxes = [cell(layers, n).bounding_box() for n in (first, last)]
    (x0, y0), (x1, y1) = ((b["x"] + b["width"] / 2, b["y"] + b["height"] / 2) for b in boxes)
    canvas.page.mouse.move(x0, y0)
    canvas.page.mouse.down()
    canvas.page.mouse.move(x1, y1, steps=steps)
    canvas.page.mouse.up()


def test_a_workflow_opens_with_its_map(canvas, choose):
    assert choose.locator("[role='option']").count() == len(NAMES)
    assert sorted(selected(choose)) == [4, 5, 7]
    assert choose.locator(".count").inner_text() == "3 of 9 layers"
    assert written(canvas) == ("published for this model", "")


def test_clicks_choose_and_the_list_is_in_step(canvas, choose):
    cell(choose, 7).click()
    assert written(canvas) == ("written below", "4-5")
    cell(choose, 0).click()
    assert written(canvas) == ("written below", "0, 4-5") and sorted(selected(choose)) == [0, 4, 5]
    for layer in (0, 4, 5):
        cell(choose, layer).click()
    assert written(canvas) == ("written below", "") and selected(choose) == []


def test_a_drag_chooses_a_range_and_does_not_move_the_node(canvas, choose):
    where = "[...window.app.graph.nodes.find(n => n.type === 'TextLayersChoose').pos]"
    before = canvas.page.evaluate(where)
    drag(canvas, choose, 0, 2)
    assert written(canvas) == ("written below", "0-2, 4-5, 7")
    drag(canvas, choose, 5, 4)  # begins on a chosen one: takes away
    assert written(canvas) == ("written below", "0-2, 7")
    assert canvas.page.evaluate(where) == before


def test_the_keyboard_is_enough(canvas, choose):
    canvas.page.keyboard.press("Escape")
    cell(choose, 0).focus()
    count = canvas.page.evaluate("window.app.graph.nodes.length")
    canvas.page.keyboard.press("Space")
    assert written(canvas) == ("written below", "0, 4-5, 7")
    assert choose.locator(".said").inner_text().startswith(f"layer 0: {NAMES[0]}")
    canvas.page.keyboard.press("Shift+ArrowRight")
    assert written(canvas)[1] == "0-1, 4-5, 7"
    canvas.page.keyboard.press("End")
    canvas.page.keyboard.press("Enter")
    assert written(canvas)[1] == "0-1, 4-5, 7-8"
    canvas.page.keyboard.press("ArrowDown")  # in a U the layer below the last one is the one before it
    assert choose.locator("[tabindex='0']").get_attribute("data-layer") == "7"
    canvas.page.keyboard.press("Control+a")
    assert written(canvas)[1] == "0-8"
    canvas.page.keyboard.press("Home")
    assert choose.locator("[role='option'][tabindex='0']").get_attribute("data-layer") == "0"  # one stop for the Tab key
    assert choose.locator("[role='option'][tabindex='0']").count() == 1
    assert canvas.page.evaluate("window.app.graph.nodes.length") == count  # none of it was taken for a shortcut of ComfyUI


def test_what_is_written_shows_on_the_map(canvas, choose, renderer):
    cell(choose, 7).click()
    write_list(canvas, renderer, f"1:0+1, {NAMES[3]}, 99, nonsense")
    assert sorted(selected(choose)) == [1, 3]
    canvas.page.mouse.move(5, 5)
    assert choose.locator(".said").inner_text() == "Not in this model: 99, nonsense"
    cell(choose, 4).click()
    assert written(canvas)[1] == "1:0+1, 3-4"  # heads stay


def write_list(canvas, vue, text):
    """As a hand does: in an input of the node or, where nodes are drawn on the canvas, in the dialog that a double click opens."""
    if vue:
        box = canvas.page.locator("[data-node-id] input[type='text']:visible, [data-node-id] input:not([type]):visible")
        found = next(b for b in box.all() if b.input_value() == "4-5")
        found.fill(text)
        found.press("Enter")
    else:
        x, y = canvas.page.evaluate("""() => {
          const node = window.app.graph.nodes.find(n => n.type === 'TextLayersChoose')
          const widget = node.widgets.find(w => w.name === 'layers')
          const [x, y] = window.app.canvasPosToClientPos([node.pos[0] + 220, node.pos[1] + widget.y + 10])
          return [x, y]
        }""")
        canvas.page.mouse.click(x, y)
        dialog = canvas.page.locator(".graphdialog input, .graphdialog textarea")
        dialog.fill(text)
        dialog.press("Enter")
    canvas.settle()


def test_undo_takes_back_a_click(canvas, choose):
    cell(choose, 0).click()
    assert written(canvas) == ("written below", "0, 4-5, 7")
    canvas.page.wait_for_function("window.app.extensionManager.workflow.activeWorkflow.changeTracker.undoQueue.length > 0")
    canvas.page.keyboard.press("Control+z")
    canvas.page.wait_for_function(
        "window.app.graph.nodes.find(n => n.type === 'TextLayersChoose')?.widgets[0].value === 'published for this model'"
    )
    canvas.settle()
    assert written(canvas) == ("published for this model", "") and sorted(selected(canvas.page.locator(".text-layers-map"))) == [4, 5, 7]


def test_a_saved_workflow_keeps_the_map_and_the_order_of_its_values(canvas, choose):
    cell(choose, 0).click()
    canvas.settle()
    saved = canvas.page.evaluate("JSON.parse(JSON.stringify(window.app.graph.serialize()))")
    (node,) = (n for n in saved["nodes"] if n["type"] == "TextLayersChoose")
    assert node["widgets_values"][:2] == ["written below", "0, 4-5, 7"]
    assert node["properties"]["text layers map"]["names"] == NAMES
    queued = canvas.page.evaluate("window.app.graphToPrompt().then(p => p.output)")
    (inputs,) = (n["inputs"] for n in queued.values() if n["class_type"] == "TextLayersChoose")
    assert set(inputs) == {"model", "choice", "layers"}


def test_hostile_properties_are_not_shown(canvas, one_renderer, tmp_path):
    workflow = json.loads(EDIT.read_text())
    (node,) = (n for n in workflow["nodes"] if n["type"] == "TextLayersChoose")
    for kept in (
        {"names": ["<img src=x onerror='window.attacked = true'>", "b.c"], "chosen": "0", "published": "0", "scores": {"0": "<b>"}},
        {"names": "abc", "chosen": 3, "scores": None},
        {"names": [f"a.{n}" for n in range(100_000)], "chosen": "0-99999"},
        {"names": [["a"]], "scores": 5},
        {"names": ["a.b", "a.c"], "chosen": {}, "published": 5, "scores": {"0": None, "1": "x", "2": 1, "toString": 3}},
        "text",
        None,
    ):
        node["properties"]["text layers map"] = kept
        path = tmp_path / "hostile.json"
        path.write_text(json.dumps(workflow))
        canvas.drop(path)
        canvas.page.locator(".text-layers-map").wait_for()
        assert canvas.page.locator(".text-layers-map img, .text-layers-map b").count() == 0
        assert canvas.page.locator(".text-layers-map [role='option']").count() <= 2
        assert canvas.page.locator("[role='dialog']").count() == 0  # ComfyUI's, which says that a script has failed
    assert canvas.page.evaluate("window.attacked") is None


def test_a_click_in_the_explorer_draws_what_the_layer_carries(canvas, one_renderer):
    workflow = canvas.drop(EXPLORE)
    canvas.fit()
    layers = canvas.page.locator(".text-layers-map")
    drawn = {}
    for layer in (5, 6):
        with canvas.queued() as found:
            cell(layers, layer).click()
        assert written(canvas)[1] == str(layer) and found[0]["status"]["status_str"] == "success"
        drawn[layer] = edited(canvas.server, found[0], workflow)
        canvas.screenshot(f"Explore layer {layer}.png")
    from text_layers.demo import signs

    small = {n: picture.resize((signs.WIDTH, signs.HEIGHT), Image.BOX) for n, picture in drawn.items()}
    import numpy as np

    assert signs.read_colours(np.asarray(small[5])) == ("blue", "red")
    assert signs.read_colours(np.asarray(small[6])) == ("green", "yellow")
    with canvas.queued() as found:
        canvas.page.keyboard.down("Control")
        cell(layers, 5).click()
        canvas.page.keyboard.up("Control")
    assert written(canvas)[1] == "5-6"


@pytest.fixture
def running(canvas):
    """The number of a prompt that others have queued, which runs as long as the test does."""
    server = canvas.server
    slow = server.api_prompt(json.loads(EDIT.read_text()))
    for node in slow.values():
        if node["class_type"] == "KSampler":
            node["inputs"]["steps"] = 10_000
    number = server.queue(slow)
    server.wait_until_it_runs(number)
    yield number
    server.post("/queue", {"clear": True})
    server.post("/interrupt", {"prompt_id": number})
    server.wait(number)


def waiting(server):
    """{number: layers} of the prompts that wait, in their order."""
    jobs = sorted(server.json("/queue")["queue_pending"])
    return {job[1]: node["inputs"]["layers"] for job in jobs for node in job[2].values() if "layers" in node["inputs"]}


def test_only_the_newest_click_waits_to_be_drawn(canvas, one_renderer, running):
    canvas.drop(EXPLORE)
    canvas.fit()
    for layer in (4, 6, 5):
        cell(canvas.page.locator(".text-layers-map"), layer).click()
        canvas.page.wait_for_timeout(1500)
    assert list(waiting(canvas.server).values()) == ["5"]
    (job,) = canvas.server.json("/queue")["queue_running"]
    assert job[1] == running, "what others have queued goes on"


# By keys, since what says that a prompt was refused may lie over the map.
_CHOOSE = """layer => {
  const cells = document.querySelector(".text-layers-map .cells")
  for (const key of ["Home", ...Array(layer).fill("ArrowRight"), "Enter"])
    cells.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }))
}"""
# A batch of two by hand, and a layer is chosen when its first prompt has been sent.
_CHOOSE_IN_BATCH = f"""layer => {{
  const {{ widgets: [widget] }} = window.app.graph.nodes.find((node) => node.type === "EmptyLatentImage")
  widget.afterQueued = () => {{
    delete widget.afterQueued
    ;({_CHOOSE})(layer)
  }}
  window.app.queuePrompt(0, 2)
}}"""
_TAKE_MODEL = """name => {
  window.app.graph.nodes.find((node) => node.type === "TextLayersLoadDemoModel").widgets[0].value = name
}"""


def test_clicks_take_away_nothing_that_a_hand_has_queued(canvas, one_renderer, running):
    """Neither after a click that ComfyUI has refused, nor where a click comes while a batch is sent."""
    page = canvas.page

    def waits_after(script, value=None):
        page.evaluate(script, value)
        page.wait_for_timeout(1500)
        return waiting(canvas.server)

    canvas.drop(EXPLORE)
    page.evaluate(_TAKE_MODEL, "no model")
    with page.expect_response("**/prompt") as answer:
        page.evaluate(_CHOOSE, 4)
    assert answer.value.status == 400
    page.keyboard.press("Escape")
    page.evaluate(_TAKE_MODEL, "unet")
    by_hand = waits_after("() => { window.app.queuePrompt(0) }")
    assert list(by_hand.values()) == ["4"]
    after = waits_after(_CHOOSE, 6)
    assert by_hand.items() <= after.items() and list(after.values()) == ["4", "6"]

    after = waits_after(_CHOOSE_IN_BATCH, 5)
    assert list(after.values()) == ["4", "6", "5", "5"]
    by_hand = list(after)[:3]
    after = waits_after(_CHOOSE, 7)
    assert list(after.values()) == ["4", "6", "5", "7"] and list(after)[:3] == by_hand, "the batch stays, and the click in it is gone"


def test_a_list_of_layers_is_copied_from_a_map_and_pasted_into_one(canvas, choose):
    cell(choose, 7).click()
    assert written(canvas) == ("written below", "4-5")
    canvas.page.keyboard.press("Control+c")
    cell(choose, 0).click()
    assert written(canvas) == ("written below", "0, 4-5")
    nodes = canvas.page.evaluate("window.app.graph.nodes.length")
    canvas.page.keyboard.press("Control+v")
    assert written(canvas) == ("written below", "4-5")
    assert canvas.page.evaluate("window.app.graph.nodes.length") == nodes


def edited(server, entry, workflow):
    (node,) = (n["id"] for n in workflow["nodes"] if n.get("title", "").startswith("Source, with") and n["type"] == "PreviewImage")
    return server.images(entry)[str(node)].convert("RGB")


_LOOK = """() => {
  const rgb = (element, property) => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d")
    pen.fillStyle = getComputedStyle(element)[property]
    pen.fillRect(0, 0, 1, 1)
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3)
  }
  const map = document.querySelector(".text-layers-map")
  const on = map.querySelector("[aria-selected='true']"), off = map.querySelector("[aria-selected='false']")
  return {
    ground: rgb(map, "backgroundColor"), ink: rgb(map, "color"), number: rgb(off.querySelector(".number"), "color"),
    empty: rgb(off.querySelector(".bar"), "backgroundColor"), outline: rgb(off.querySelector(".bar"), "borderTopColor"),
    chosen: rgb(on.querySelector(".score"), "backgroundColor"), chosenOutline: rgb(on.querySelector(".bar"), "borderTopColor"),
    widths: [on, off].map(c => getComputedStyle(c.querySelector(".bar")).borderTopWidth),
  }
}"""


def contrast(a, b):
    """WCAG 2.2's ratio of two sRGB colours."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_and_cells_have_contrast_in_every_palette(canvas, one_renderer):
    measured = {}
    canvas.drop(EDIT)
    for palette in PALETTES:
        canvas.set("Comfy.ColorPalette", palette)
        look = canvas.page.evaluate(_LOOK)
        measured[palette] = {
            "text": contrast(look["ink"], look["ground"]),
            "number": contrast(look["number"], look["ground"]),
            "chosen outline on the ground": contrast(look["chosenOutline"], look["ground"]),
            "chosen bar on an empty one": contrast(look["chosen"], look["empty"]),
            "outline on the ground": contrast(look["outline"], look["ground"]),
        }
        assert look["widths"] == ["2px", "1px"]  # not by colour alone
    canvas.set("Comfy.ColorPalette", "dark")
    print(json.dumps(measured, indent=1))
    for palette, ratios in measured.items():
        for what, ratio in ratios.items():
            # WCAG 2.2: 1.4.3 asks 4.5 of text, 1.4.11 asks 3 of what shows a state
            assert ratio >= (4.5 if what in ("text", "number") else 3), (palette, what, ratio)


def test_the_map_speaks_the_front_ends_language(canvas, one_renderer):
    canvas.set("Comfy.Locale", "ja")
    try:
        canvas.drop(EDIT)
        words = json.loads((ROOT / "locales" / "ja" / "main.json").read_text("utf-8"))["textLayersMap"]
        expect(canvas.page.locator(".text-layers-map .count")).to_have_text(words["chosen"].format(count=3, total=9))
        assert canvas.page.locator(".text-layers-map [role='listbox']").get_attribute("aria-label") == words["map"]
        canvas.screenshot("Japanese.png")
    finally:
        canvas.set("Comfy.Locale", "en")


def test_lists_are_read_and_written_as_the_nodes_do(canvas):
    rng = random.Random(0)
    available = [f"output_blocks.{n // 3}.1.transformer_blocks.{n % 3}.attn2" for n in range(24)]
    cases, expected = [], []
    for _ in range(300):
        chosen = sorted(rng.sample(range(24), rng.randint(1, 24)))
        heads = {n: tuple(sorted(rng.sample(range(8), rng.randint(1, 3)))) for n in chosen if rng.random() < 0.2}
        value = TextLayers("unet", "a", tuple(available[n] for n in chosen), heads={available[n]: h for n, h in heads.items()})
        text = list_layers(value, available)
        assert parse_layers(text, available) == (value.names, dict(value.heads))
        items = [available[n] if rng.random() < 0.5 else str(n) for n in chosen if n not in heads]
        items += [f"{rng.choice([n, available[n].removesuffix('.attn2')])}:{'+'.join(map(str, h))}" for n, h in heads.items()]
        rng.shuffle(items)
        cases.append(rng.choice([", ", " ", ","]).join(items))
        expected.append(text)
    module = "/extensions/renamed-by-manager/layer_map/layer_list.js"
    script = """async ([module, cases, names]) => {
      const {parse, write} = await import(module)
      return cases.map(text => { const {chosen, heads, unknown} = parse(text, names); return [write(chosen, heads), unknown.length] })
    }"""
    assert canvas.page.evaluate(script, [module, cases, available]) == [[text, 0] for text in expected]
    wrong = ["", "24", "5-3", "x", "1:", "1:a", "output_blocks.0.1", "-1", "1.5"]
    for text, (_, unknown) in zip(wrong, canvas.page.evaluate(script, [module, wrong, available]), strict=True):
        with pytest.raises(ValueError):
            parse_layers(text, available)
        assert unknown == (text != "")


@pytest.mark.parametrize("path", sorted((ROOT / "workflows").glob("*.json")), ids=lambda p: p.stem)
def test_maps_of_workflows_are_those_of_the_nodes(server, path):
    """The demo models' here; those of large models against their real architecture."""
    from text_layers.nodes.layer_map import layer_map
    from text_layers.patching import models

    for node in json.loads(path.read_text("utf-8"))["nodes"]:
        if node["type"] == "TextLayersChoose":
            model = model_of(path.stem)
            published, names = models.known(model), models.layer_names(model)
            choice, layers = node["widgets_values"][:2]
            chosen = models.written(model, layers) if choice == "written below" else published
            wanted = layer_map(names, chosen, published=published)["text_layers"][0]
            assert node["properties"]["text layers map"] == json.loads(json.dumps(wanted))
            assert not re.search(r"explore", path.stem, re.I) or node["properties"]["text layers explore"] is True
