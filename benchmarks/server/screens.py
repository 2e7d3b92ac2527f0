"""Screenshots of the nodes, the map and the workflows, from a real ComfyUI in a real browser.

python dev.py run benchmarks.server.screens              all of them, into web/docs and docs/pictures
python dev.py run benchmarks.server.screens nodes maps   some of them
"""

import argparse
import io
import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from ...testing import browser
from ...testing.comfy_server import ROOT, running
from .small_graphs import GRAPHS

HELP, PICTURES = ROOT / "web" / "docs", ROOT / "docs" / "pictures"
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
MAPS = ("SDXL", "SD3", "demo U-Net")
LOOKS = [f"{theme}-{renderer}" for renderer in ("canvas", "vue") for theme in ("dark", "light")]
_MARGIN, _SPACE = 30, 70  # pixels
_CHECKPOINT, _LORA, _LAYERS = "sd_xl_base_1.0.safetensors", "my text lora.safetensors", "my text layers.json"
_VALUES = {"ckpt_name": _CHECKPOINT, "lora_name": _LORA, "file": _LAYERS, "unet": "IF-I-XL-v1.0", "width": 64, "height": 32}
# Empty ones, as those that the workflows name: they stand in the pictures and are never read.
_FILES = [
    f"checkpoints/{_CHECKPOINT}",
    "checkpoints/sd3_medium_incl_clips_t5xxlfp16.safetensors",
    f"loras/{_LORA}",
    "loras/text_lora.safetensors",
    f"text_layers/{_LAYERS}",
]
_DEMO_PROMPT = 'a red round sign on a blue wall that says "CAFE"'

_BUILD = """async ([kind, small, values, maps]) => {
  const app = window.app
  const last = app.graph.last_node_id
  app.graph.clear()
  app.graph.last_node_id = last  // by its number the front end would give a node the values of the last one
  const add = (type) => {
    const node = window.LiteGraph.createNode(type)
    app.graph.add(node)
    return node
  }
  const node = add(kind)
  const before = new Map(), left = [], right = []
  for (const [input, [type, slot]] of Object.entries(small.before)) {
    const key = `${type} ${[...Object.values(small.before)].filter(([t, s]) => t === type && s === slot).length > 1 ? input : ""}`
    if (!before.has(key)) { before.set(key, add(type)); left.push(before.get(key)) }
    before.get(key).connect(slot, node, node.inputs.findIndex((i) => i.name === input))
  }
  for (const [slot, targets] of Object.entries(small.after))
    for (const [type, input] of targets) {
      const next = add(type)
      right.push(next)
      node.connect(Number(slot), next, next.inputs.findIndex((i) => i.name === input))
    }
  for (const one of app.graph.nodes) {
    for (const widget of one.widgets ?? []) {
      const value = { ...values, ...(one === node ? small.values : {}) }[widget.name]
      if (value !== undefined && widget.type !== "button") widget.value = value
    }
    const demo = [...before.values()].some((n) => n.type === "TextLayersLoadDemoModel")
    if (one.type === "TextLayersChoose") one.onExecuted?.({ text_layers: [demo ? maps.demo : maps.sdxl] })
    one.setSize(one.computeSize().map((side, n) => Math.max(side, n ? 0 : 280)))
  }
  const column = (nodes, x) => {
    let y = 0
    for (const one of nodes) { one.pos = [x, y]; y += one.size[1] + SPACE }
    return y - SPACE
  }
  const wide = (nodes) => Math.max(0, ...nodes.map((n) => n.size[0]))
  const from = left.length ? wide(left) + SPACE : 0
  column(left, 0); column([node], from); column(right, from + node.size[0] + SPACE)
  node.bgcolor = "#3f3a4a"
  app.canvas.deselectAll()
  app.canvas.setDirty(true, true)
}""".replace("SPACE", str(_SPACE))

_BOX = """(titles) => {
  const shown = window.app.graph.nodes.filter((n) => !titles || titles.includes(`${n.type} ${n.title}`))
  const boxes = shown.map((n) => [n.pos[0], n.pos[1] - 32, n.pos[0] + n.size[0], n.pos[1] + n.size[1]])
  return [0, 1].map((i) => Math.min(...boxes.map((b) => b[i]))).concat([2, 3].map((i) => Math.max(...boxes.map((b) => b[i]))))
}"""


def picture(canvas, node=None):
    """PIL's picture of the graph, or of a node by its type and title; a pixel a unit where the page is large enough."""
    left, top, right, bottom = canvas.page.evaluate(_BOX, node and [node])
    view = canvas.page.viewport_size
    fits = min((view["width"] - 260) / (right - left + 2 * _MARGIN), (view["height"] - 140) / (bottom - top + 2 * _MARGIN))
    scale = min(1.0, fits)
    # Clear of the bar at the left and the tabs above.
    offset = [180 / scale - left + _MARGIN, 100 / scale - top + _MARGIN]
    script = "([scale, offset]) => { Object.assign(window.app.canvas.ds, {scale, offset}); window.app.canvas.setDirty(true, true) }"
    canvas.page.evaluate(script, [scale, offset])
    canvas.page.mouse.move(5, 700)
    canvas.page.wait_for_timeout(800)
    width, height = ((b - a + 2 * _MARGIN) * scale for a, b in ((left, right), (top, bottom)))
    # The minimap and the buttons would lie over the graph.
    hide = ".graph-canvas-panel, .side-tool-bar-container, .minimap-main-container, [data-testid='minimap-container'] {visibility: hidden}"
    style = canvas.page.add_style_tag(content=hide)
    data = canvas.page.screenshot(clip={"x": 180, "y": 100, "width": width, "height": height})
    style.evaluate("e => e.remove()")
    return Image.open(io.BytesIO(data)).convert("RGB")


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=80, method=6)
    print(path.relative_to(ROOT), image.size, f"{path.stat().st_size // 1024} KB", flush=True)


def kept_map(workflow):
    nodes = json.loads((ROOT / "workflows" / f"Edit text, change a word - {workflow}.json").read_text("utf-8"))["nodes"]
    return next(n for n in nodes if n["type"] == "TextLayersChoose")["properties"]["text layers map"]


def nodes(canvas):
    maps = {"demo": kept_map("demo U-Net"), "sdxl": kept_map("SDXL")}
    for kind, small in GRAPHS.items():
        values = _VALUES | {"text": _DEMO_PROMPT} if kind != "TextLayersLoadDemoModel" else _VALUES
        canvas.page.evaluate(_BUILD, [kind, vars(small), values, maps])
        canvas.page.wait_for_timeout(700)
        save(picture(canvas), HELP / f"{kind}.webp")


def maps(canvas):
    for look in LOOKS:
        theme, renderer = look.split("-")
        canvas.set("Comfy.VueNodes.Enabled", renderer == "vue")
        canvas.set("Comfy.ColorPalette", theme)
        for name in MAPS:
            alone = {"before": {}, "after": {}, "values": {}}
            canvas.page.evaluate(_BUILD, ["TextLayersChoose", alone, {}, {"sdxl": kept_map(name)}])
            canvas.page.wait_for_timeout(700)
            save(picture(canvas), PICTURES / f"map-{name.replace(' ', '-')}-{look}.webp")
    canvas.set("Comfy.ColorPalette", "dark")
    canvas.set("Comfy.VueNodes.Enabled", False)


def workflows(canvas, paths=WORKFLOWS):
    for path in paths:
        canvas.drop(path)
        if "demo" in path.stem:
            entry = canvas.run(600)
            assert entry["status"]["status_str"] == "success", entry["status"]
            canvas.page.wait_for_timeout(6000)  # until the notice that it is done has gone
        save(picture(canvas), PICTURES / f"{path.stem}.webp")


def named():
    """Files of models and text layers that workflows name, below models."""
    for path in WORKFLOWS:
        for node in json.loads(path.read_text("utf-8"))["nodes"]:
            yield from (f"{file['directory']}/{file['name']}" for file in node["properties"].get("models", ()))
            if node["type"] == "TextLayersLoad":
                yield f"text_layers/{node['widgets_values'][0]}"


def page():
    """docs/screens.md"""
    lines = [
        "# What it looks like",
        "",
        "Made by `python dev.py run benchmarks.server.screens`, in a real ComfyUI; the demo workflows have run.",
        "",
    ]
    lines += ["## The map of the text layers", "", "On the canvas and as Vue nodes, in the dark and the light theme.", ""]
    for name in MAPS:
        stem = f"pictures/map-{name.replace(' ', '-')}"
        lines += [f"**{name}**", "", " ".join(f"![{name}, {look}]({stem}-{look}.webp)" for look in LOOKS), ""]
    lines += ["## Workflows", ""]
    for path in WORKFLOWS:
        lines += [f"### {path.stem}", "", f"![{path.stem}](pictures/{quote(path.stem)}.webp)", ""]
    lines += ["## Nodes", ""]
    for kind in GRAPHS:
        title = (HELP / f"{kind}.md").read_text("utf-8").splitlines()[0][2:]
        lines += [f"### {title}", "", f"[Help page](../web/docs/{kind}.md)", "", f"![{title}](../web/docs/{kind}.webp)", ""]
    return "\n".join(lines)


def main():
    whole = {"nodes": nodes, "maps": maps, "workflows": workflows}
    parts = whole | {path.stem: partial(workflows, paths=[path]) for path in WORKFLOWS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(whole)}, or a workflow; all without one")
    chosen = parser.parse_args().parts or list(whole)
    if unknown := set(chosen) - set(parts):
        parser.error(f"there is no {', '.join(unknown)}; choose from {', '.join(parts)}")
    with tempfile.TemporaryDirectory() as base:
        for file in {*_FILES, *named()}:
            path = Path(base) / "comfyui" / "models" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        (Path(base) / "comfyui" / "input").mkdir()
        shutil.copy(ROOT / "docs" / "icon.png", Path(base) / "comfyui" / "input" / "example.png")
        with running(os.environ["COMFYUI_PATH"], Path(base) / "comfyui") as server:
            with browser.launched() as chromium, browser.opened(chromium, server, Path(base)) as canvas:
                canvas.set("Comfy.NodeBadge.NodeSourceBadgeMode", "None")
                for part in chosen:
                    parts[part](canvas)
    (ROOT / "docs" / "screens.md").write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
