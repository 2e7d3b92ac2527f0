"""`python dev.py demo`: the same picture with another word, drawn with the models that ship with the pack."""

import argparse
import csv
import json
import math
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from . import signs
from .animation import save_animation

MODELS = ("unet", "mmdit")
EXAMPLES = (("CAFE", "HOTEL"), ("NORTH", "SOUTH"), ("OPEN", "SHUT"))


def sign_pair(source, target, seed, word_only=False):
    """The source's and the target's Sign: another word and, unless word_only, another colour for sign and wall."""
    rng = random.Random(f"{source} {target} {seed}")
    colours = rng.sample(list(signs.PALETTE), 4)
    shape = rng.choice(signs.SHAPES)
    a = signs.Sign(source, colours[0], colours[1], shape)
    b = signs.Sign(target, *(colours[:2] if word_only else colours[2:]), shape)
    return a, b


@dataclass(frozen=True)
class Drawn:
    """Pictures [n, H, W, 3] uint8 of n pairs: source, plain target, the edit that keeps all but the word, and the edit without that."""

    source: np.ndarray
    target: np.ndarray
    edit: np.ndarray
    without_keep: np.ndarray
    layers: tuple[str, ...]  # names of the patched ones

    def rows(self):
        """Of each pair (source, target, edit, without_keep)."""
        return list(zip(self.source, self.target, self.edit, self.without_keep, strict=True))


def draw_pairs(name, pairs, seed):
    """Drawn of pairs of Signs, one batch."""
    from ..patching import models
    from ..patching.patch import patch_prompt
    from . import comfy_model, pictures

    model, clip, vae = comfy_model.load(name)
    text_layers = models.preset(model)
    source = pictures.encode(clip, [a.prompt() for a, _ in pairs])
    target = pictures.encode(clip, [b.prompt() for _, b in pairs])

    def latents(positive, model=model):
        return pictures.latents(model, clip, positive, seed, len(pairs))

    kept = latents(source)
    runs = (
        kept,
        latents(target),
        latents(source, patch_prompt(model, text_layers, target, keep=kept)),
        latents(source, patch_prompt(model, text_layers, target)),
    )
    return Drawn(*(pictures.decode(vae, run) for run in runs), text_layers.names)


def judge(ocr, a, b, source, target, edit, without_keep):
    """What report.json says of one pair: pictures as in Drawn."""
    from ..scoring.compare import USUAL

    read = {f"read_{key}": ocr.read(p, enlarge=4) for key, p in (("source", source), ("target", target), ("edit", edit))}
    boxes = [signs.text_box(a.word), signs.text_box(b.word)]
    others = {"edit": edit, "edit_without_keep": without_keep, "target": target}
    decibel = {f"psnr_{key}": scoring_psnr(source, p, boxes) for key, p in others.items()}
    kept = signs.read_colours(edit) == (a.wall, a.sign)
    exact = {"exact": read["read_edit"] == b.word, "exact_folded": USUAL.same(read["read_edit"], b.word)}
    return {"source": a.word, "target": b.word, **read, **exact, "colours_kept": kept, **decibel}


def difference(a, b):
    """Where two pictures differ, black where they do not, brighter than it is."""
    return np.minimum(np.abs(a.astype(int) - b) * 2, 255).astype(np.uint8)


def scoring_psnr(a, b, boxes):
    from ..scoring.image import psnr

    value = psnr(a, b, boxes)
    return None if math.isinf(value) else round(value, 2)  # JSON knows no infinity: null means equal


def sheet(rows, scale=4, titles=("source", "plain target prompt", "edit: target in the text layers, rest kept")):
    """One picture of rows of pictures, with a heading for each column."""
    gap, head = 8, 24
    width, height = signs.WIDTH * scale, signs.HEIGHT * scale
    image = Image.new("RGB", (len(titles) * (width + gap) + gap, head + len(rows) * (height + gap)), "white")
    pen = ImageDraw.Draw(image)
    for column, title in enumerate(titles):
        pen.text((gap + column * (width + gap), 6), title, "black")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            image.paste(enlarge(picture, scale), (gap + x * (width + gap), head + y * (height + gap)))
    return image


def enlarge(picture, scale=4):
    image = Image.fromarray(picture)
    return image.resize((image.width * scale, image.height * scale), Image.BICUBIC)


def read_pairs(path):
    """Word pairs of a CSV file, source and target a line; raises SystemExit that says which line is wrong."""
    if not path.is_file():
        raise SystemExit(f"There is no file {path}.")
    pairs = []
    for number, row in enumerate(csv.reader(path.read_text("utf-8-sig").splitlines()), 1):
        words = [cell.strip().upper() for cell in row if cell.strip()]
        if not words or words == ["SOURCE", "TARGET"]:
            continue
        if len(words) != 2:
            raise SystemExit(f"{path}, line {number}: expected a source and a target word, found {', '.join(words)}")
        pairs.append(tuple(words))
    if not pairs:
        raise SystemExit(f"{path} holds no word pairs.")
    return pairs


def main():
    parser = argparse.ArgumentParser(prog="dev.py demo", description=__doc__)
    parser.add_argument("--source", help="the word that is drawn")
    parser.add_argument("--target", help="the word that should be drawn instead")
    parser.add_argument("--pairs", type=Path, help="a CSV file, source,target a line")
    parser.add_argument("--model", choices=MODELS, help="one of the two models; both without it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--word-only", action="store_true", help="the target prompt differs in the word alone, not in the colours")
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    a = parser.parse_args()
    if bool(a.source) != bool(a.target) or (a.source and a.pairs):
        parser.error("give --source and --target together, or --pairs alone")
    words = [(a.source.upper(), a.target.upper())] if a.source else read_pairs(a.pairs) if a.pairs else list(EXAMPLES)
    for word in (w for pair in words for w in pair):
        if not 3 <= len(word) <= signs.SLOTS or any(c not in signs.LETTERS for c in word):
            parser.error(f'the demo models draw words of 3 to {signs.SLOTS} letters A-Z, not "{word}"')
    report = run(words, [a.model] if a.model else MODELS, a.seed, a.word_only, a.out)
    for name, result in report["models"].items():
        done = sum(p["exact_folded"] for p in result["pairs"])
        kept = sum(p["colours_kept"] for p in result["pairs"])
        print(
            f"{name}: target prompt in {len(result['layers'])} layers: {done} of {len(words)} edits read as the target's word, "
            f"{kept} keep the source's colours ({result['seconds']} s)."
        )
    print(f"Look at {a.out / 'sheet.png'}; animation.gif, single pictures and report.json lie beside it.")


def run(words, models, seed, word_only, out):
    out.mkdir(parents=True, exist_ok=True)
    print("loading EasyOCR ...", file=sys.stderr, flush=True)
    from ..scoring.ocr import EasyOcr

    ocr = EasyOcr()
    pairs = [sign_pair(source, target, seed, word_only) for source, target in words]
    report, rows = {"models": {}}, []
    for name in models:
        started = time.time()
        print(f"{name}: drawing {len(pairs)} x source, target, edit ...", file=sys.stderr, flush=True)
        drawn = draw_pairs(name, pairs, seed)
        judged = []
        for number, ((a, b), pictures) in enumerate(zip(pairs, drawn.rows(), strict=True), 1):
            judged.append(judge(ocr, a, b, *pictures))
            for kind, picture in zip(("source", "target", "edit"), pictures, strict=False):
                enlarge(picture).save(out / f"{name}-{number:03}-{a.word}-{b.word}-{kind}.png")
            source, target, edit, _ = pictures
            rows.append((source, target, edit, difference(source, edit)))
        report["models"][name] = {"layers": list(drawn.layers), "pairs": judged, "seconds": round(time.time() - started, 1)}
    titles = ("source", "plain target prompt", "edit: target in the text layers, rest kept", "what differs from the source")
    sheet(rows, titles=titles).save(out / "sheet.png")
    save_animation([(source, edit) for source, _, edit, _ in rows], out / "animation.gif", enlarge)
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


if __name__ == "__main__":
    main()
