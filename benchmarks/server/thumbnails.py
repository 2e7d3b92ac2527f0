"""The templates' thumbnails: what each of them does to a picture, from a real ComfyUI.

python dev.py run benchmarks.server.thumbnails              all of them
python dev.py run benchmarks.server.thumbnails TEMPLATE     some of them

Where a model's weights are too large to be had here, the demo model of the same kind draws, and the thumbnail says so.
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
JOINT = ("SD3", "SD3.5", "Flux.1 dev", "Flux.2 Klein", "Chroma", "Qwen-Image", "Krea 2", "Z-Image Turbo")
DRAWN_BY = {"SDXL": "demo U-Net", "DeepFloyd IF": "demo U-Net"} | dict.fromkeys(JOINT, "demo MMDiT")
# Templates without a demo model of their own kind: whose effect is theirs.
LIKE = {
    "Change text in a photo, invert it - SD3": "Change text in a photo, invert it - demo U-Net",
    "Fix spelling with a LoRA - SDXL": "Train a LoRA to fix spelling - demo U-Net",
    "Fix spelling with a LoRA - SD3": "Train a LoRA to fix spelling - demo U-Net",
}
EXPLORED = {"demo U-Net": ("5", "6", "4-5, 7"), "demo MMDiT": ("0", "3", "0-2")}


def band(text):
    image = Image.new("RGB", (SIDE, BAND), "#202020")
    write(image, (SIDE // 2, BAND // 2), text, SIDE - 16)
    return image


def write(image, at, text, width):
    """Around a place, as large as fits into the width."""
    fonts = (ImageFont.load_default(size) for size in range(20, 9, -1))
    font = next((font for font in fonts if font.getlength(text) <= width), ImageFont.load_default(10))
    ImageDraw.Draw(image).text(at, text, "#f0f0f0", font, anchor="mm")


def sheet(rows, said):
    """rows: pictures, or (caption, picture), that share the height in equal parts; said: the line below them. Two pictures are cut to their
    part around their middles; more stand whole beside their captions; what is no picture twice as wide as high is shown whole."""
    image = Image.new("RGB", (SIDE, SIDE), "#202020")
    image.paste(band(said), (0, SIDE - BAND))
    height = (SIDE - BAND) // len(rows)
    for n, row in enumerate(rows):
        caption, row = row if isinstance(row, tuple) else ("", row)
        row, top = row.convert("RGB"), n * height
        if caption:
            row = row.resize(((height - 2) * row.width // row.height, height - 2), Image.LANCZOS)
            write(image, ((row.width + SIDE) // 2, top + height // 2), caption, SIDE - row.width - 12)
            left = 0
        elif row.width == 2 * row.height:
            row = row.resize((SIDE, SIDE // 2), Image.LANCZOS)
            cut = (row.height - height) // 2
            row, left = row.crop((0, cut, SIDE, cut + height - 2)), 0
        else:
            row.thumbnail((SIDE, height - 2), Image.LANCZOS)
            left = (SIDE - row.width) // 2
        image.paste(row, (left, top))
    return image


def workflow(name):
    return json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8"))


def drawn(server, name, **layers):
    """[(title, picture)] of a template's nodes that show pictures, in their order; `layers` of its Text Layers."""
    graph = workflow(name)
    prompt = server.api_prompt(graph)
    for node in prompt.values():
        if node["class_type"] == "TextLayersChoose":
            node["inputs"] |= layers
    entry = server.run(prompt, 1200)
    assert entry["status"]["status_str"] == "success", entry["status"]
    outputs = [(node.get("title", ""), str(node["id"])) for node in graph["nodes"]]
    shown = [(title, number) for title, number in outputs if entry["outputs"].get(number, {}).get("images")]
    return [(title, picture) for title, number in shown for picture in server.all_images(entry, number)]


def pictures(server, name):
    what, model = name.rsplit(" - ", 1)
    if what == "Explore text layers":
        return [(f"layer{'s' * (len(layers) > 1)} {layers}", drawn(server, name, layers=layers)[0][1]) for layers in EXPLORED[model]]
    found = drawn(server, name)
    if what == "Localize text layers":
        return [picture for title, picture in found if title in ("Chart", "Contact sheet")]
    if what.startswith("Train"):
        found = [one for one in found if one[0] in ("Before", "After")]
    elif "invert" in what:
        found = [found[0], found[-1]]
    elif what.startswith("Replace"):
        (node,) = (node for node in workflow(name)["nodes"] if node["type"] == "TextLayersReplaceMany")
        captions = ["source", *node["widgets_values"][1].splitlines()]
        return list(zip(captions, [picture for _, picture in found], strict=True))
    return [picture for _, picture in found]


def said(name):
    model = name.rsplit(" - ", 1)[1]
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
