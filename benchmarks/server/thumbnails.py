"""The templates' thumbnails: what each of them does to a picture, from a real ComfyUI.

python dev.py run benchmarks.server.thumbnails              all of them
python dev.py run benchmarks.server.thumbnails TEMPLATE     some of them

Where a model's weights are too large to be had here, the demo model of the same kind draws, and the thumbnail says so. Those of the newest
large models show the graph's first nodes and were cut by hand.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ...testing.comfy_server import ROOT, running

WORKFLOWS = ROOT / "workflows"
SIDE, BAND = 400, 40  # pixels
# What stands in for a model: the demo model with the same kind of attention.
DRAWN_BY = {"SDXL": "demo U-Net", "SD3": "demo MMDiT", "DeepFloyd IF": "demo U-Net"}
# Templates without a demo model of their own kind: whose effect is theirs.
LIKE = {
    "Change text in a photo, invert it - SD3": "Change text in a photo, invert it - demo U-Net",
    "Fix spelling with a LoRA - SDXL": "Train a LoRA to fix spelling - demo U-Net",
    "Fix spelling with a LoRA - SD3": "Train a LoRA to fix spelling - demo U-Net",
}
EXPLORED = {"demo U-Net": ("5", "6", "4-5, 7"), "demo MMDiT": ("0", "3", "0-2")}


def band(text):
    image = Image.new("RGB", (SIDE, BAND), "#202020")
    ImageDraw.Draw(image).text((SIDE // 2, BAND // 2), text, "#f0f0f0", ImageFont.load_default(20), anchor="mm")
    return image


def sheet(rows, said):
    """rows: pictures that share the height in equal parts, each cut to it around its middle; said: the line below them."""
    image = Image.new("RGB", (SIDE, SIDE), "#202020")
    image.paste(band(said), (0, SIDE - BAND))
    height = (SIDE - BAND) // len(rows)
    for n, row in enumerate(rows):
        row = row.convert("RGB").resize((SIDE, SIDE * row.height // row.width), Image.LANCZOS)
        top = max(0, (row.height - height) // 2)
        image.paste(row.crop((0, top, SIDE, top + height - 2)), (0, n * height))
    return image


def drawn(server, name, **layers):
    """[(title, picture)] of a template's nodes that show pictures, in their order; `layers` of its Text Layers."""
    workflow = json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))
    prompt = server.api_prompt(workflow)
    for node in prompt.values():
        if node["class_type"] == "TextLayersChoose":
            node["inputs"] |= layers
    entry = server.run(prompt, 1200)
    assert entry["status"]["status_str"] == "success", entry["status"]
    outputs = [(node.get("title", ""), str(node["id"])) for node in workflow["nodes"]]
    shown = [(title, number) for title, number in outputs if entry["outputs"].get(number, {}).get("images")]
    return [(title, picture) for title, number in shown for picture in server.all_images(entry, number)]


def pictures(server, name):
    what, model = name.rsplit(" - ", 1)
    if what == "Explore text layers":
        return [drawn(server, name, layers=layers)[0][1] for layers in EXPLORED[model]]
    found = drawn(server, name)
    if what == "Localize text layers":
        return [picture for title, picture in found if title in ("Chart", "Contact sheet")]
    if what.startswith("Train"):
        found = [one for one in found if one[0] in ("Before", "After")]
    elif "invert" in what:
        found = [found[0], found[-1]]
    return [picture for _, picture in found]


def said(name):
    what, model = name.rsplit(" - ", 1)
    if what == "Explore text layers":
        return " | ".join(f"layer{'s' * (len(layers) > 1)} {layers}" for layers in EXPLORED[model])
    drawn_by = LIKE[name].rsplit(" - ", 1)[1] if name in LIKE else DRAWN_BY.get(model)
    return f"{model} (drawn by the {drawn_by})" if drawn_by else model


def can_be_drawn(name):
    model = name.rsplit(" - ", 1)[1]
    return model.startswith("demo") or model in DRAWN_BY


def main():
    names = sorted(path.stem for path in WORKFLOWS.glob("*.json") if can_be_drawn(path.stem))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("templates", nargs="*", metavar="TEMPLATE", help="all without one")
    chosen = parser.parse_args().templates or names
    if unknown := set(chosen) - set(names):
        parser.error(f"there is no {', '.join(unknown)}; choose from {', '.join(names)}")
    with tempfile.TemporaryDirectory() as base, running(os.environ["COMFYUI_PATH"], Path(base) / "comfyui") as server:
        kept = {}
        for name in chosen:
            what, model = name.rsplit(" - ", 1)
            shown = LIKE.get(name, f"{what} - {DRAWN_BY.get(model, model)}")
            if shown not in kept:
                kept[shown] = pictures(server, shown)
            sheet(kept[shown], said(name)).save(WORKFLOWS / f"{name}.jpg", quality=90)
            print(name, flush=True)


if __name__ == "__main__":
    main()
